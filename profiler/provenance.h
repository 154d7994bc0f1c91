#pragma once

#include <istream>
#include <string>

#include "core/cluster.h"

namespace shardlab {

/// The first "model name" of a /proc/cpuinfo, or "unknown processor".
std::string processor_name(std::istream& cpuinfo);

/// Of this machine, with its number of logical cores: "AMD EPYC, 2 cores".
std::string describe_processor();

/// This machine's processor, or the name of its accelerator: what Provenance::device says.
std::string describe_device(const DeviceSpec& device);

/// Now, as "2026-01-31T12:00:00Z".
std::string utc_now();

}  // namespace shardlab
