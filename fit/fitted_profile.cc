#include "fit/fitted_profile.h"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// Costs of one precision say little of another's: between the rates in bf16, by tensor cores, and
/// in fp32 lies a factor of 16 (A100: 312 and 19.5 TFLOPS; H100: 15; data sheets).
constexpr double kOtherPrecision = 15;

[[noreturn]] void refuse_pair(const Profile& first, const Profile& other, const std::string& what,
                              const std::string& advice) {
  throw Error(
      fmt::format("{} and {} are of different {}; {}", first.path, other.path, what, advice));
}

void refuse_difference(const Profile& first, const Profile& other, const Accepted& accepted) {
  const Provenance &a = first.provenance, &b = other.provenance;
  if (a.device != b.device && !accepted.device) {
    refuse_pair(first, other, fmt::format("devices: \"{}\" and \"{}\"", a.device, b.device),
                "take profiles of one, or --accept-profile device");
  }
  if (a.libtorch != b.libtorch && !accepted.library) {
    refuse_pair(first, other, fmt::format("LibTorch versions: {} and {}", a.libtorch, b.libtorch),
                "profile again with one, or --accept-profile library");
  }
  if (a.lanes != b.lanes || a.threads_per_lane != b.threads_per_lane) {
    refuse_pair(first, other,
                fmt::format("lanes: {} of {} threads and {} of {}", a.lanes, a.threads_per_lane,
                            b.lanes, b.threads_per_lane),
                "profile them on one cluster");
  }
}

const ModelProfile* entry_of(const Profile& profile, const Shape& shape) {
  for (const ModelProfile& each : profile.models) {
    if (each.model == shape.model && each.batch == shape.batch && each.optimizer == shape.optimizer)
      return &each;
  }
  return nullptr;
}

std::string imported_precision(const ModelProfile& of) {
  return of.imported_precision ? to_string(*of.imported_precision) : "not known";
}

/// Batches of an imported model in two precisions would be one model's.
void refuse_precisions(const Profile& profile, const Profile& other) {
  for (const ModelProfile& each : other.models) {
    for (const ModelProfile& one : profile.models) {
      if (one.model != each.model || one.imported_precision == each.imported_precision) continue;
      refuse_pair(profile, other,
                  fmt::format("precisions of {}: {} and {}", describe(each.model),
                              imported_precision(one), imported_precision(each)),
                  "import them with one, or --accept-profile precision");
    }
  }
}

void refuse_twice(const Profile& profile, const Profile& other) {
  for (const ModelProfile& each : other.models) {
    if (entry_of(profile, shape_of(each)) == nullptr) continue;
    throw Error(fmt::format("{}: {}, batch {} is also in {}; leave one of them out", other.path,
                            describe(each.model), each.batch, profile.path));
  }
}

/// Of those that know it; what nobody knows is missing.
HostCosts mean_of(const std::vector<Profile>& profiles, HostCosts Profile::*host) {
  HostCosts mean;
  const auto take = [&](CostField field, const auto& add) {
    const auto knows = [&](const Profile& each) { return !(each.*host).missing.has(field); };
    const std::int64_t count = std::ranges::count_if(profiles, knows);
    mean.missing.set(field, count == 0);
    for (const Profile& each : profiles) {
      if (knows(each)) add(each.*host, count);
    }
  };
  const auto take_copy = [&](CostField field, CopyCost HostCosts::*copy) {
    take(field, [&](const HostCosts& from, std::int64_t count) {
      (mean.*copy).latency += (from.*copy).latency / count;
      (mean.*copy).bytes_per_second += (from.*copy).bytes_per_second / static_cast<double>(count);
    });
  };
  const auto take_time = [&](CostField field, Duration HostCosts::*time) {
    take(field,
         [&](const HostCosts& from, std::int64_t count) { mean.*time += from.*time / count; });
  };
  take_copy(CostField::kCopy, &HostCosts::copy);
  take_copy(CostField::kCopyBack, &HostCosts::copy_back);
  take_time(CostField::kUnitOverhead, &HostCosts::unit_overhead);
  take_time(CostField::kDispatch, &HostCosts::dispatch);
  return mean;
}

std::string origin(const Profile& profile) {
  return fmt::format("{}{} ({})", profile.path.empty() ? "" : profile.path + ": ",
                     profile.provenance.device, profile.provenance.date);
}

bool is_imported(const ModelSpec& model) { return model.architecture == Architecture::kImported; }

/// What the entry's matrix products were computed in.
Precision precision_of(const ModelProfile& entry, const OtherDevice& other,
                       const Accepted& accepted) {
  if (!is_imported(entry.model)) return entry.model.precision;
  const auto &known = entry.imported_precision, &given = other.imported_precision;
  if (known && given && *known != *given && !accepted.precision) {
    throw UsageError(fmt::format(
        "--precision {}: {} was computed in {}; leave --precision out, or --accept-profile "
        "precision",
        to_string(*given), describe(entry.model), to_string(*known)));
  }
  if (given) return *given;
  if (known) return *known;
  throw UsageError(fmt::format(
      "{}: in what it computed its matrix products is not known; give --precision fp32, tf32, "
      "bf16 or fp16",
      describe(entry.model)));
}

constexpr const char* kLaw =
    "non-negative least squares of time on kernels, FLOPs and bytes, from the nearest measured "
    "size";

/// Fills in what the file says of the estimates in it.
void describe_estimate(Profile& profile, const Profile& measured, const Estimator& estimator,
                       const std::optional<OtherDevice>& other,
                       const std::set<MatrixRate>& rates = {}) {
  Estimate estimate{kLaw, {origin(measured)}, 0, median_error(estimator.held_out())};
  const bool sheets_alone = other && std::ranges::all_of(profile.models, [](const auto& each) {
                              return is_imported(each.model);
                            });
  if (sheets_alone) {
    std::string names;
    for (const MatrixRate rate : rates) names += (names.empty() ? "" : ", ") + to_string(rate);
    estimate.method =
        fmt::format("ratio of data sheets: compute rate ({}) and memory bandwidth", names);
  } else if (other) {
    estimate.method += "; roofline of compute rate and memory bandwidth by data sheets";
  }
  if (other) {
    for (const DataSheet* sheet : {&other->from, &other->to}) {
      estimate.inputs.push_back("data sheet of " + sheet->name + ": " + sheet->source);
    }
  }
  for (const ModelProfile& each : profile.models) {
    estimate.interval = std::max(estimate.interval, each.interval.value_or(0));
  }
  profile.provenance.estimated = std::move(estimate);
}

void move_host(HostCosts& host, const OtherDevice& other) {
  const double faster = other.to.host_bytes_per_second / other.from.host_bytes_per_second;
  host.copy.bytes_per_second *= faster;
  host.copy_back.bytes_per_second *= faster;
}

bool has_two_batches(const Profile& profile, const Shape& shape) {
  std::set<int> batches;
  for (const ModelProfile& each : profile.models) {
    if (!each.interval && alike(each, shape) && same_size(each.model, shape.model)) {
      batches.insert(each.batch);
    }
  }
  return batches.size() >= 2;
}

bool has_comparable(const Profile& profile, const Shape& shape) {
  return std::ranges::any_of(profile.models, [&](const ModelProfile& each) {
    return !each.interval && comparable(each, shape);
  });
}

/// A size that is missing, and the one whose costs stand for it: itself, unless another precision's
/// are accepted.
struct Completion {
  Shape shape, from;
};

std::optional<Completion> completion_of(const Profile& profile, const Shape& shape,
                                        const Accepted& accepted) {
  const bool comparable_here = has_comparable(profile, shape);
  if (has_two_batches(profile, shape) || (accepted.batch && comparable_here)) {
    return Completion{shape, shape};
  }
  if (!accepted.precision || comparable_here) return std::nullopt;
  Shape other = shape;
  const bool bf16 = shape.model.precision == Precision::kBf16;
  other.model.precision = bf16 ? Precision::kFp32 : Precision::kBf16;
  const bool known = entry_of(profile, other) != nullptr;
  if (!known && !(accepted.batch && has_comparable(profile, other))) return std::nullopt;
  return Completion{shape, other};
}

/// Largest first.
std::vector<int> divisors(int number) {
  std::vector<int> all;
  for (int d = 1; d <= number / d; ++d) {
    if (number % d != 0) continue;
    all.push_back(d);
    if (d != number / d) all.push_back(number / d);
  }
  std::ranges::sort(all, std::greater<>());
  return all;
}

}  // namespace

Profile merged(std::vector<Profile> profiles, const Accepted& accepted) {
  Profile all = profiles.front();
  if (profiles.size() == 1) return all;
  all.alone = mean_of(profiles, &Profile::alone);
  all.loaded = mean_of(profiles, &Profile::loaded);
  for (std::size_t i = 1; i < profiles.size(); ++i) {
    Profile& next = profiles[i];
    refuse_difference(profiles.front(), next, accepted);
    refuse_twice(all, next);
    if (!accepted.precision) refuse_precisions(all, next);
    std::ranges::move(next.models, std::back_inserter(all.models));
    all.path += ", " + next.path;
    for (const std::string& note : next.provenance.notes) {
      auto& notes = all.provenance.notes;
      if (std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
    }
    for (const SourceFile& source : next.provenance.sources) {
      auto& sources = all.provenance.sources;
      if (std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
    }
    all.provenance.drift = std::max(all.provenance.drift, next.provenance.drift);
    if (next.provenance.estimated && !all.provenance.estimated) {
      all.provenance.estimated = next.provenance.estimated;
    }
  }
  return all;
}

Profile fitted(const Profile& measured, const std::vector<Shape>& shapes,
               const std::optional<OtherDevice>& other, const Accepted& accepted) {
  const Estimator estimator(measured.models);
  Profile made = measured;
  made.models.clear();
  made.others.clear();
  bool any_known = false;
  std::set<MatrixRate> rates;
  for (const Shape& shape : shapes) {
    if (entry_of(made, shape) != nullptr) continue;
    const ModelProfile* known = entry_of(measured, shape);
    any_known = any_known || known != nullptr;
    ModelProfile entry = known != nullptr ? *known : estimator.estimate(shape);
    if (other) {
      const MatrixRate rate = rate_of(precision_of(entry, *other, accepted));
      rates.insert(rate);
      entry = estimator.on_device(std::move(entry), roofline_ratio(other->from, other->to, rate));
    }
    made.models.push_back(std::move(entry));
  }
  if (!any_known) made.provenance.notes.clear();  // They are of entries as they were measured.
  if (other) {
    made.provenance.device = other->to.name;
    made.provenance.fixed_work = {};
    made.provenance.activity.reset();
    move_host(made.alone, *other);
    move_host(made.loaded, *other);
  }
  describe_estimate(made, measured, estimator, other, rates);
  return made;
}

std::vector<Shape> shapes_of(const Workload& workload) {
  std::vector<Shape> shapes;
  std::set<std::tuple<ModelSpec, OptimizerKind, int>> jobs, seen;
  for (const Job& job : workload.jobs) {  // There may be a million of a few kinds.
    if (!jobs.emplace(job.model, job.optimizer.kind, job.batch).second) continue;
    for (const int batch : divisors(job.batch)) {
      if (!seen.emplace(job.model, job.optimizer.kind, batch).second) continue;
      shapes.push_back({job.model, job.optimizer.kind, batch});
    }
  }
  return shapes;
}

void complete(Profile& profile, const Workload& workload, const Accepted& accepted) {
  std::vector<Completion> missing;
  for (const Shape& shape : shapes_of(workload)) {
    if (entry_of(profile, shape) != nullptr) continue;
    if (const auto from = completion_of(profile, shape, accepted)) missing.push_back(*from);
  }
  if (missing.empty()) return;
  const Estimator estimator(profile.models);
  const Profile measured = profile;
  for (const Completion& each : missing) {
    const ModelProfile* known = entry_of(measured, each.from);
    ModelProfile entry = known != nullptr ? *known : estimator.estimate(each.from);
    if (each.from.model.precision != each.shape.model.precision) {
      entry.model.precision = each.shape.model.precision;
      entry.interval = entry.interval.value_or(0) + kOtherPrecision;
    }
    profile.models.push_back(std::move(entry));
  }
  describe_estimate(profile, measured, estimator, {});
}

}  // namespace shardlab
