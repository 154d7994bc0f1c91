#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "imports/importers.h"
#include "traces/cluster_file.h"
#include "traces/data_sheet_file.h"
#include "traces/job_table.h"
#include "traces/layer_table.h"
#include "traces/perseus_file.h"
#include "traces/pipedream_file.h"
#include "traces/plan_file.h"
#include "traces/profile_file.h"
#include "traces/result_file.h"
#include "traces/study_file.h"
#include "traces/timeline_file.h"
#include "traces/vtrain_file.h"
#include "traces/workload_file.h"

namespace {

/// Every operator is a layer, so that as much as possible is attributed.
shardlab::ImportOptions import_options() {
  shardlab::ImportOptions options;
  options.batch = 1;
  options.layer_rule = ".";
  options.gpu = "all";
  return options;
}

}  // namespace

/// Any bytes are read as some file of ours, by the first byte; they give a result or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0]) {
      case 'w':
        shardlab::parse_workload(text, "fuzz.toml");
        break;
      case 'j':
        shardlab::parse_job_table(text, "fuzz.csv", {});
        break;
      case 'c':
        shardlab::parse_cluster(text, "fuzz.toml");
        break;
      case 'p':
        shardlab::parse_profile(text);
        break;
      case 'l':
        shardlab::parse_plan(text);
        break;
      case 't':
        shardlab::parse_timeline(text);
        break;
      case 'g':
        shardlab::parse_study_grid(text, "fuzz.toml");
        break;
      case 'h':
        shardlab::parse_data_sheets(text, "fuzz.toml");
        break;
      case 'r':
        shardlab::parse_result(text);
        break;
      case 's':
        shardlab::parse_perseus(text);
        break;
      case 'v':
        shardlab::parse_vtrain(text, "fuzz.csv");
        break;
      case 'k':
        shardlab::import_kineto(*shardlab::text_stream(text), "fuzz", import_options());
        break;
      case 'n':
        shardlab::import_nsight(shardlab::SqliteDatabase::from_bytes(text), "fuzz",
                                import_options());
        break;
      case 'd':
        shardlab::parse_pipedream(text);
        break;
      case 'a':
        shardlab::parse_layer_table(text, "fuzz.csv");
        break;
      default:
        return -1;  // Not worth keeping in the corpus.
    }
  } catch (const shardlab::Error&) {
  }
  return 0;
}
