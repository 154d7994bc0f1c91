#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/workload.h"

/// What a job may say of itself and what it must: the same for every format of workloads.
namespace shardlab {

constexpr std::size_t kJobKeys = 26;

/// A job while its keys are read.
struct JobDraft {
  Job job;
  std::int64_t epochs = 0, dataset_sequences = 0;
  std::bitset<kJobKeys> given;  ///< By place in job_keys().
};

/// All keys of a job but `name`. A setter checks its value; it throws Error without a place.
struct JobKey {
  using SetInteger = void (*)(JobDraft&, std::int64_t);
  using SetNumber = void (*)(JobDraft&, double);
  using SetText = void (*)(JobDraft&, std::string);  ///< Of a plain_text().

  std::string_view name;
  std::variant<SetInteger, SetNumber, SetText> set;
  bool required = false;
  std::string_view instead = {};  ///< The key that says the same in another way.
};

std::span<const JobKey> job_keys();

/// For messages: `name`, if wanted, and all of job_keys().
std::vector<std::string_view> job_key_names(bool with_name);

/// Where a key stands in job_keys(). Requires: it is one.
std::size_t job_key_index(std::string_view name);

inline bool given(const JobDraft& draft, std::string_view key) {
  return draft.given[job_key_index(key)];
}

/// The key to change and why.
struct JobFault {
  std::string_view key;
  std::string what;
};

/// Rules that bind several keys, once all are set; computes what follows from several. The first
/// fault, if there is one.
std::optional<JobFault> complete(JobDraft& draft);

/// A path that stands in the file `origin`: relative to its folder.
std::string beside(const std::string& origin, const std::string& path);

/// Throws Error when two jobs have one name. `lines` are where each was given.
void refuse_equal_names(const std::vector<Job>& jobs, const std::vector<std::int64_t>& lines,
                        const std::string& origin);

}  // namespace shardlab
