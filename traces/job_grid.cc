#include "traces/job_grid.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// One key of one job and the values that it takes.
struct Axis {
  const JobKey* key = nullptr;
  toml::source_region source;
  std::vector<const toml::node*> values;
};

std::string label(const toml::node& node) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return fmt::format("{}", value->get());
  return fmt::format("{}", node.value_or(0.0));
}

Axis axis(const JobKey& key, const toml::key& written, const toml::node& node) {
  Axis result{&key, written.source(), {&node}};
  const toml::array* list = node.as_array();
  if (list == nullptr) return result;
  if (list->empty()) throw Error("is an empty list, so there is no job at all");
  if (list->size() > static_cast<std::size_t>(kMostGridJobs)) throw Error("is too long a list");
  result.values.clear();
  for (const toml::node& element : *list) result.values.push_back(&element);
  return result;
}

/// The job's own keys, then those of the defaults that it leaves out, as they stand in the file.
std::vector<Axis> axes(const toml::table& job, const toml::table& defaults,
                       const std::string& origin) {
  std::vector<Axis> found;
  for (const JobKey& key : job_keys()) {
    const bool says_itself = job.contains(key.name) || job.contains(key.instead);
    const toml::table& owner = says_itself ? job : defaults;
    const auto entry = owner.find(key.name);
    if (entry == owner.end()) continue;
    in_context(place(origin, entry->first.source(), key.name),
               [&] { found.push_back(axis(key, entry->first, entry->second)); });
  }
  std::sort(found.begin(), found.end(), [](const Axis& a, const Axis& b) {
    return std::pair(a.source.begin.line, a.source.begin.column) <
           std::pair(b.source.begin.line, b.source.begin.column);
  });
  return found;
}

std::int64_t combinations(const std::vector<Axis>& axes) {
  std::int64_t product = 1;
  for (const Axis& axis : axes) {
    // A product already too large stays so, and must not overflow.
    product = std::min(product, kMostGridJobs + 1) * static_cast<std::int64_t>(axis.values.size());
  }
  return product;
}

class JobReader {
 public:
  explicit JobReader(const std::string& origin) : origin_(origin) {}

  /// Appends all jobs of one `[[job]]`, the `ordinal`th in the file.
  void expand(const toml::table& table, const toml::table& defaults, std::size_t ordinal) {
    refuse_unknown_keys(table, origin_, job_key_names(/*with_name=*/true));
    std::string name = fmt::format("job-{}", ordinal);
    if (const toml::node* node = table.get("name")) {
      in_context(place(origin_, node->source(), "name"), [&] { name = text(*node); });
    }
    const std::vector<Axis> all = axes(table, defaults, origin_);
    const std::int64_t number = combinations(all);
    if (number + static_cast<std::int64_t>(list_.jobs.size()) > kMostGridJobs) {
      throw Error(fmt::format("{}: the lists give more than {} jobs; shorten them",
                              place(origin_, table.source()), kMostGridJobs));
    }
    for (std::int64_t i = 0; i < number; ++i) add(name, all, i, table.source());
  }

  JobList list() && {
    refuse_equal_names(list_.jobs, lines_, origin_);
    return std::move(list_);
  }

 private:
  void add(const std::string& base, const std::vector<Axis>& axes, std::int64_t combination,
           const toml::source_region& source) {
    JobDraft draft;
    std::string suffix;
    // The last list varies fastest, so its digit is the lowest.
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      const auto size = static_cast<std::int64_t>(axis->values.size());
      const toml::node& value = *axis->values[static_cast<std::size_t>(combination % size)];
      combination /= size;
      in_context(place(origin_, value.source(), axis->key->name),
                 [&] { set_value(draft, *axis->key, value); });
      if (size == 1) continue;
      suffix = fmt::format("{}={}{}{}", axis->key->name, label(value), suffix.empty() ? "" : ",",
                           suffix);
    }
    if (const auto fault = complete(draft)) blame(*fault, axes, source);
    draft.job.name = suffix.empty() ? base : base + "/" + suffix;
    if (!draft.job.data.empty()) draft.job.data = beside(origin_, draft.job.data);
    list_.arrives.push_back(given(draft, "arrival_s") || given(draft, "arrival"));
    list_.jobs.push_back(std::move(draft.job));
    lines_.push_back(source.begin.line);
  }

  [[noreturn]] void blame(const JobFault& fault, const std::vector<Axis>& axes,
                          const toml::source_region& job) const {
    const auto written = std::find_if(
        axes.begin(), axes.end(), [&](const Axis& axis) { return axis.key->name == fault.key; });
    const toml::source_region& source = written == axes.end() ? job : written->source;
    throw Error(place(origin_, source, fault.key) + ": " + fault.what);
  }

  const std::string& origin_;
  JobList list_;
  std::vector<std::int64_t> lines_;  ///< Of the `[[job]]` of each.
};

}  // namespace

void set_value(JobDraft& draft, const JobKey& key, const toml::node& value) {
  std::visit(
      [&](auto set) {
        using Set = decltype(set);
        if constexpr (std::is_same_v<Set, JobKey::SetInteger>) {
          set(draft, integer(value, INT64_MIN, INT64_MAX));
        } else if constexpr (std::is_same_v<Set, JobKey::SetNumber>) {
          set(draft, number(value));
        } else {
          set(draft, text(value));
        }
      },
      key.set);
  draft.given.set(job_key_index(key.name));
}

JobList expand_jobs(const toml::table& root, const toml::table& defaults,
                    const std::string& origin) {
  JobReader reader(origin);
  std::size_t ordinal = 0;
  for (const toml::table* table : tables(root, origin, "job"))
    reader.expand(*table, defaults, ++ordinal);
  return std::move(reader).list();
}

JobDraft single_defaults(const toml::table& defaults, const std::string& origin) {
  JobDraft draft;
  for (const auto& [key, value] : defaults) {
    in_context(place(origin, key.source(), key.str()), [&, &name = key, &node = value] {
      if (node.is_array()) throw Error("must be one value for jobs of a CSV file, is a list");
      set_value(draft, job_keys()[job_key_index(name.str())], node);
    });
  }
  if (!draft.job.data.empty()) draft.job.data = beside(origin, draft.job.data);
  return draft;
}

}  // namespace shardlab
