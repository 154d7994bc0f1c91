#include "cli/recording.h"

#include <filesystem>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/own_process.h"
#include "core/error.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

Profile recorded_apart(const Profile& profile, const std::string& path, const std::string& program,
                       const std::vector<std::string>& arguments, Duration limit) {
  write_profile(path, profile);
  const int status = run_own_process(program, arguments, limit);
  if (status != 0) throw Error(fmt::format("the process of its own ended with {}", status));
  Profile found = read_profile(path);
  if (!found.provenance.activity) throw Error("the process of its own added none");
  return found;
}

}  // namespace

Duration recording_limit(const Profile& profile) {
  constexpr Duration kToStart = std::chrono::minutes(2);  // Libraries load, weights are made.
  constexpr int kMinibatches = 100;                       // Ten are run.
  Duration limit = kToStart;
  for (const ModelProfile& model : profile.models) {
    for (const LayerCost& layer : model.layers) {
      limit += kMinibatches * total(layer.alone);
    }
  }
  return limit;
}

Profile with_records(Profile profile, const std::string& program,
                     std::vector<std::string> arguments, Duration limit) {
  const std::string path = fmt::format("{}/shardlab-{}-records.json",
                                       std::filesystem::temp_directory_path().string(), getpid());
  arguments.insert(arguments.end(), {"--add-records", path});
  try {
    profile = recorded_apart(profile, path, program, arguments, limit);
  } catch (const Error& error) {
    profile.provenance.activity = ActivityFacts{.source = std::string("none: ") + error.what()};
  }
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return profile;
}

}  // namespace shardlab
