#include "traces/job_table.h"

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/csv.h"
#include "traces/value.h"

namespace shardlab {
namespace {

void set_field(JobDraft& draft, const JobKey& key, std::string_view field) {
  std::visit(
      [&](auto set) {
        using Set = decltype(set);
        if constexpr (std::is_same_v<Set, JobKey::SetInteger>) set(draft, csv_integer(field));
        if constexpr (std::is_same_v<Set, JobKey::SetNumber>) set(draft, csv_number(field));
        if constexpr (std::is_same_v<Set, JobKey::SetText>) set(draft, plain_text(field));
      },
      key.set);
  draft.given.set(static_cast<std::size_t>(&key - job_keys().data()));
}

class TableReader {
 public:
  TableReader(std::string_view text, const std::string& origin, const JobDraft& defaults)
      : origin_(origin), defaults_(defaults), rows_(text, origin, CsvComments::kHash) {
    rows_.refuse_unknown_columns(job_key_names(/*with_name=*/true));
    for (const std::string& column : rows_.columns()) {
      keys_.push_back(column == "name" ? nullptr : &job_keys()[job_key_index(column)]);
    }
  }

  JobList read() {
    std::vector<std::int64_t> lines;
    while (rows_.next()) {
      if (lines.size() == kMostJobRows) {
        throw Error(
            fmt::format("{}: more than {} jobs; split the file", rows_.place(), kMostJobRows));
      }
      lines.push_back(rows_.line());
      add_row();
    }
    if (lines.empty()) throw Error(origin_ + ": no job in it, only the names of the columns");
    refuse_equal_names(list_.jobs, lines, origin_);
    return std::move(list_);
  }

 private:
  void add_row() {
    JobDraft draft = defaults_;
    draft.job.name = fmt::format("job-{}", list_.jobs.size() + 1);
    for (std::size_t c = 0; c < keys_.size(); ++c) {  // What the row says itself goes before.
      if (keys_[c] == nullptr || keys_[c]->instead.empty() || rows_[c].empty()) continue;
      draft.given.reset(job_key_index(keys_[c]->instead));
    }
    for (std::size_t c = 0; c < keys_.size(); ++c) set(draft, c);
    if (const auto fault = complete(draft)) {
      throw Error(fmt::format("{}: {}: {}", rows_.place(), fault->key, fault->what));
    }
    list_.arrives.push_back(given(draft, "arrival_s") || given(draft, "arrival"));
    list_.jobs.push_back(std::move(draft.job));
  }

  void set(JobDraft& draft, std::size_t column) {
    const std::string_view field = rows_[column];
    if (field.empty()) return;
    try {  // Not in_context: a place for each of millions of fields would take most of the time.
      if (keys_[column] == nullptr) {
        draft.job.name = plain_text(field);
        return;
      }
      set_field(draft, *keys_[column], field);
      if (keys_[column]->name == "data") draft.job.data = beside(origin_, draft.job.data);
    } catch (const Error& error) {
      throw Error(rows_.place(column) + ": " + error.what());
    }
  }

  const std::string& origin_;
  const JobDraft& defaults_;
  CsvReader rows_;
  std::vector<const JobKey*> keys_;  ///< Per column; null: the name.
  JobList list_;
};

}  // namespace

JobList parse_job_table(std::string_view text, const std::string& origin,
                        const JobDraft& defaults) {
  return TableReader(text, origin, defaults).read();
}

}  // namespace shardlab
