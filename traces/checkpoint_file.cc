#include "traces/checkpoint_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"

// A file: Preamble; the header, JSON padded with blanks so that what follows is aligned; then layer
// by layer parameters and state as floats of this machine.
namespace shardlab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-checkpoint";
constexpr int kVersion = 1;
constexpr std::string_view kSuffix = ".checkpoint", kDamaged = ".damaged";
constexpr std::size_t kAlignment = 64;
constexpr std::int64_t kMostFloats = std::int64_t{1} << 40;

struct Preamble {
  std::array<char, 16> magic{'s', 'h', 'a', 'r', 'd', 'l', 'a', 'b', '-', 'c', 'k', 'p', 't'};
  std::uint64_t header_bytes = 0;
  std::uint64_t header_hash = 0;
};
static_assert(sizeof(Preamble) == 32 && kAlignment % sizeof(Preamble) == 0);

std::string_view bytes_of(std::span<const float> floats) {
  return {reinterpret_cast<const char*>(floats.data()), floats.size_bytes()};
}

std::string hash_text(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

/// Of both arrays of a layer, one after the other.
std::string hash_of(const Checkpoint::Layer& layer) {
  const std::uint64_t first = XXH3_64bits(layer.parameters.data(), layer.parameters.size_bytes());
  return hash_text(XXH3_64bits_withSeed(layer.state.data(), layer.state.size_bytes(), first));
}

std::string header_of(const Identity& identity, const Checkpoint& checkpoint) {
  ordered_json job = ordered_json::object();
  for (const auto& [key, value] : identity) job[key] = value;
  ordered_json layers = ordered_json::array();
  for (const Checkpoint::Layer& layer : checkpoint.layers) {
    layers.push_back({{"parameters", layer.parameters.size()},
                      {"state", layer.state.size()},
                      {"hash", hash_of(layer)}});
  }
  ordered_json header{{"format", kFormat},
                      {"version", kVersion},
                      {"job", std::move(job)},
                      {"minibatch", checkpoint.minibatch}};
  if (checkpoint.microbatches > 0) {
    header["microbatches"] = checkpoint.microbatches;
    header["replicas"] = checkpoint.replicas;
  }
  header["losses"] = checkpoint.losses;
  header["layers"] = std::move(layers);
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::size_t end = sizeof(Preamble) + text.size();
  text.append((kAlignment - end % kAlignment) % kAlignment, ' ');
  return text;
}

std::string prefix_of(std::size_t job) { return fmt::format("job-{}.", job); }

/// Of one job, newest first.
std::vector<fs::path> files_of(const std::string& folder, std::size_t job) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix_of(job)) && name.ends_with(kSuffix)) found.push_back(entry.path());
  }
  std::sort(found.rbegin(), found.rend());  // Minibatches have leading zeros.
  return found;
}

std::int64_t minibatch_of(const fs::path& path) {
  const std::string name = path.filename().string();
  return std::strtoll(name.c_str() + name.find('.') + 1, nullptr, 10);
}

std::shared_ptr<const char> mapped(const std::string& path, std::size_t& size) {
  const auto fail = [&] {
    throw Error(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // It may be a pipe.
  if (file < 0) fail();
  struct stat status {};
  void* start = MAP_FAILED;
  if (::fstat(file, &status) == 0 && !S_ISREG(status.st_mode)) {
    ::close(file);
    throw Error(path + ": is no regular file");
  }
  if (status.st_size > 0) {
    size = static_cast<std::size_t>(status.st_size);
    start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  }
  ::close(file);
  if (start == MAP_FAILED && status.st_size > 0) fail();
  if (start == MAP_FAILED) throw Error(path + ": is empty");
  return {static_cast<const char*>(start),
          [size](const char* begin) { ::munmap(const_cast<char*>(begin), size); }};
}

/// Reads what the header says of the floats that follow it.
class Payload {
 public:
  explicit Payload(std::string_view bytes) : bytes_(bytes) {}

  Checkpoint::Layer take(const JsonObject& from) {
    Checkpoint::Layer layer;
    layer.parameters = take(from.integer("parameters", 0, kMostFloats));
    layer.state = take(from.integer("state", 0, kMostFloats));
    if (hash_of(layer) != from.text("hash")) throw Error("the checksum does not match");
    return layer;
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const float> take(std::int64_t floats) {
    const auto size = static_cast<std::size_t>(floats);
    if (size > bytes_.size() / sizeof(float)) throw Error("the file is cut off");
    const auto* begin = reinterpret_cast<const float*>(bytes_.data());
    bytes_.remove_prefix(size * sizeof(float));
    return {begin, size};
  }

  std::string_view bytes_;
};

std::string_view header_in(std::string_view file) {
  Preamble preamble;
  const Preamble wanted;
  if (file.size() < sizeof preamble) throw Error("the file is cut off");
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (preamble.magic != wanted.magic) throw Error("is no checkpoint, or its first bytes changed");
  file.remove_prefix(sizeof preamble);
  if (preamble.header_bytes > file.size()) throw Error("the file is cut off");
  file = file.substr(0, preamble.header_bytes);
  if (XXH3_64bits(file.data(), file.size()) != preamble.header_hash) {
    throw Error("the checksum of the header does not match");
  }
  return file;
}

}  // namespace

Identity identity_of(const Job& job, std::uint64_t data_hash) {
  const ModelSpec& model = job.model;
  const OptimizerSpec& optimizer = job.optimizer;
  Identity identity{{"name", job.name},
                    {"model", to_string(model.architecture)},
                    {"layers", fmt::format("{}", model.layers)},
                    {"width", fmt::format("{}", model.width)},
                    {"heads", fmt::format("{}", model.heads)},
                    {"context", fmt::format("{}", model.context)},
                    {"dropout", fmt::format("{}", model.dropout)},
                    {"precision", to_string(model.precision)},
                    {"batch", fmt::format("{}", job.batch)},
                    {"optimizer", to_string(optimizer.kind)},
                    {"learning_rate", fmt::format("{}", optimizer.learning_rate)},
                    {"momentum", fmt::format("{}", optimizer.momentum)},
                    {"weight_decay", fmt::format("{}", optimizer.weight_decay)},
                    {"seed", fmt::format("{}", job.seed)},
                    {"data", "of hash " + hash_text(data_hash)}};
  if (model.batch_norm) identity.emplace_back("norm", kBatchNorm);
  if (model.feed_forward > 0) {
    identity.emplace_back("feed_forward", fmt::format("{}", model.feed_forward));
  }
  return identity;
}

std::string difference(const Identity& kept, const Identity& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = std::ranges::find(kept, key, &Identity::value_type::first);
    if (found != kept.end() && found->second == value) continue;
    return fmt::format("{}: {} in the checkpoint, {} in the workload", key,
                       found == kept.end() ? "nothing" : found->second, value);
  }
  return "";
}

void write_checkpoint(const std::string& folder, std::size_t job, const Identity& identity,
                      const Checkpoint& checkpoint) {
  const std::string header = header_of(identity, checkpoint);
  Preamble preamble;
  preamble.header_bytes = header.size();
  preamble.header_hash = XXH3_64bits(header.data(), header.size());
  std::vector<std::string_view> parts{{reinterpret_cast<const char*>(&preamble), sizeof preamble},
                                      header};
  for (const Checkpoint::Layer& layer : checkpoint.layers) {
    parts.push_back(bytes_of(layer.parameters));
    parts.push_back(bytes_of(layer.state));
  }
  const std::string name = fmt::format("{}{:012}{}", prefix_of(job), checkpoint.minibatch, kSuffix);
  write_file_atomically(folder + "/" + name, parts);
  std::error_code none;
  bool has_before = false;
  for (const fs::path& file : files_of(folder, job)) {
    if (file.filename().string() >= name) continue;
    if (std::exchange(has_before, true)) fs::remove(file, none);
  }
}

void set_aside(const DamagedCheckpoint& damaged) {
  std::error_code none;
  fs::rename(damaged.path, damaged.path + std::string(kDamaged), none);
}

std::size_t checkpointed_jobs(const std::string& folder) {
  std::size_t jobs = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("job-") || !name.ends_with(kSuffix)) continue;
    const std::size_t job = std::strtoull(name.c_str() + 4, nullptr, 10);
    jobs = std::max(jobs, job + 1);
  }
  return jobs;
}

void remove_checkpoints(const std::string& folder, bool temporary_only) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("job-") && !name.starts_with("decisions.")) continue;
    const bool temporary = name.ends_with(".tmp");
    const bool lasting =
        name.ends_with(kSuffix) || name.ends_with(kDamaged) || name.starts_with("decisions.");
    if (temporary || (!temporary_only && lasting)) fs::remove(entry.path(), none);
  }
}

std::optional<CheckpointFile> CheckpointFile::newest(const std::string& folder, std::size_t job,
                                                     std::vector<DamagedCheckpoint>& damaged,
                                                     std::int64_t most) {
  for (const fs::path& path : files_of(folder, job)) {
    if (minibatch_of(path) > most) continue;
    try {
      return CheckpointFile(path.string());
    } catch (const Error& error) {
      damaged.push_back({path.string(), error.what()});
    } catch (const json::exception& error) {
      damaged.push_back({path.string(), path.string() + ": " + error.what()});
    }
  }
  return std::nullopt;
}

CheckpointFile::CheckpointFile(const std::string& path) {
  std::size_t size = 0;
  bytes_ = mapped(path, size);
  in_context(path, [&] {
    const std::string_view file{bytes_.get(), size};
    const std::string_view text = header_in(file);
    const json parsed = parse_json_file(text, kFormat, kVersion);
    const JsonObject header(parsed);
    checkpoint_.minibatch = header.integer("minibatch", 0, kMostInFile);
    constexpr std::int64_t kMostParts = INT32_MAX;
    if (header.has("microbatches")) {
      checkpoint_.microbatches = static_cast<int>(header.integer("microbatches", 1, kMostParts));
      checkpoint_.replicas = static_cast<int>(header.integer("replicas", 1, kMostParts));
    }
    for (const json& loss : header.array("losses"))
      checkpoint_.losses.push_back(loss.get<double>());
    for (const auto& [key, value] : parsed.at("job").items()) identity_.emplace_back(key, value);
    Payload payload(file.substr(sizeof(Preamble) + text.size()));
    for (const json& layer : header.array("layers")) {
      checkpoint_.layers.push_back(in_context(fmt::format("layer {}", checkpoint_.layers.size()),
                                              [&] { return payload.take(JsonObject(layer)); }));
    }
    if (payload.left() > 0) throw Error("the file is longer than its header says");
  });
}

}  // namespace shardlab
