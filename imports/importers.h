#pragma once

#include <string>

#include "imports/imported.h"
#include "traces/byte_stream.h"
#include "traces/sqlite_database.h"

/// One function per format. Each throws Error with the path and, where there is one, the line or
/// event at fault; what a file says and cannot be used is counted in Imported::unused.
namespace shardlab {

/// A pipeline that Perseus profiled: stages become layers, a microbatch is the batch. It has times
/// of forward and backward, no sizes and no step.
Imported import_perseus(const std::string& path, const ImportOptions& options);

/// PipeDream's graph.txt: forward, backward, output and parameters of each node.
Imported import_pipedream(const std::string& path, const ImportOptions& options);

/// A table with a row per layer (traces/layer_table.h).
Imported import_csv(const std::string& path, const ImportOptions& options);

/// A trace of PyTorch's profiler: times by kernels, copies; no sizes.
Imported import_kineto(const std::string& path, const ImportOptions& options);
/// The same of a stream, without the path in errors.
Imported import_kineto(ByteStream& from, const std::string& name, const ImportOptions& options);

/// What `nsys export --type sqlite` writes: the same from NVTX ranges.
Imported import_nsight(const std::string& path, const ImportOptions& options);
/// The same of an open database, without the path in errors.
Imported import_nsight(const SqliteDatabase& from, const std::string& name,
                       const ImportOptions& options);

}  // namespace shardlab
