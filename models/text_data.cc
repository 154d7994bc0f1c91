#include "models/text_data.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <xxhash.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "models/standard_library.h"
#include "models/validate.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRecord = 1 + static_cast<std::size_t>(kImageNumbers);
constexpr std::uint64_t kMaskOneIn = 7;  // About BERT's 15 % (Devlin et al. 2019).

/// Appends up to the cap. Throws Error when the file cannot be read.
void append_file(const fs::path& path, std::string& bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)));
  const std::size_t before = bytes.size();
  const std::uintmax_t size =
      std::min<std::uintmax_t>(fs::file_size(path), TextData::kLargest - before);
  bytes.resize(before + size);
  file.read(bytes.data() + before, static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(file.gcount()) != size) {
    throw Error(fmt::format("{}: cannot read", path.string()));
  }
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// Not the installed packages beside a standard library, which differ from machine to machine.
bool is_foreign(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "site-packages" || name == "dist-packages" || name == "__pycache__";
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(folder, options);
       it != fs::recursive_directory_iterator(); ++it) {
    const bool skipped = is_hidden(it->path()) || is_foreign(it->path());
    if (it->is_directory() && skipped) it.disable_recursion_pending();
    if (it->is_regular_file() && !skipped) files.push_back(it->path());
  }
  std::ranges::sort(files);
  return files;
}

std::string folder_text(const fs::path& folder, std::string_view extension) {
  constexpr std::size_t kLooked = 4096;
  std::string bytes;
  for (const fs::path& path : files_below(folder)) {
    if (bytes.size() == TextData::kLargest) break;
    if (!extension.empty() && path.extension() != extension) continue;
    const std::size_t before = bytes.size();
    append_file(path, bytes);
    const auto head = std::string_view(bytes).substr(before, kLooked);
    if (head.find('\0') != std::string_view::npos) bytes.resize(before);
  }
  return bytes;
}

TextData load_checked(const std::string& path) {
  const bool standard = path.empty();
  const fs::path place = standard ? find_standard_library() : fs::path(path);
  if (!fs::exists(place)) throw Error(fmt::format("{}: no such file or folder", place.string()));
  std::string bytes;
  if (fs::is_directory(place)) {
    bytes = folder_text(place, standard ? ".py" : "");
  } else {
    append_file(place, bytes);
  }
  if (bytes.empty()) throw Error(fmt::format("{}: no text in it", place.string()));
  return {place.string(), std::move(bytes)};
}

}  // namespace

TextData TextData::load(const std::string& path) {
  return in_context("data", [&] {
    try {
      return load_checked(path);
    } catch (const fs::filesystem_error& error) {
      throw Error(error.what());
    }
  });
}

std::uint64_t TextData::hash() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

void TextData::check_images() const {
  const auto refuse = [&](const std::string& why) {
    throw Error(
        fmt::format("data: {}: {}; a vit trains on images: give a file in CIFAR-10's "
                    "binary format, such as its data_batch_1.bin",
                    name_, why));
  };
  const bool cut = bytes_.size() == kLargest;  // What is beyond is left out.
  if (bytes_.size() < kRecord || (bytes_.size() % kRecord > 0 && !cut)) {
    refuse(fmt::format("{} bytes are no records of {}", bytes_.size(), kRecord));
  }
  for (std::size_t at = 0; at + kRecord <= bytes_.size(); at += kRecord) {
    const int label = static_cast<unsigned char>(bytes_[at]);
    if (label >= kImageClasses) refuse(fmt::format("byte {}: {} is no label", at, label));
  }
}

void TextData::images(int batch, std::uint64_t seed, std::int64_t step,
                      std::span<std::int64_t> input, std::span<std::int64_t> target) const {
  auto pixels = input.begin();
  for (std::size_t row = 0; row < static_cast<std::size_t>(batch); ++row) {
    const std::uint64_t key = counter_hash({seed, static_cast<std::uint64_t>(step), row});
    const auto record =
        std::string_view(bytes_).substr(kRecord * (key % (bytes_.size() / kRecord)), kRecord);
    target[row] = static_cast<unsigned char>(record.front());
    pixels = std::ranges::transform(record.substr(1), pixels, [](char pixel) {
               return static_cast<std::int64_t>(static_cast<unsigned char>(pixel));
             }).out;
  }
}

void TextData::check(const ModelSpec& spec) const {
  if (spec.architecture == Architecture::kVit) return check_images();
  const auto needed = static_cast<std::size_t>(spec.context) + 1;
  if (bytes_.size() < needed) {
    throw Error(fmt::format("data: {}: {} bytes of text, but context {} needs at least {}", name_,
                            bytes_.size(), spec.context, needed));
  }
}

void TextData::batch(const ModelSpec& spec, int batch, std::uint64_t seed, std::int64_t step,
                     std::span<std::int64_t> input, std::span<std::int64_t> target) const {
  assert(input.size() == static_cast<std::size_t>(batch * inputs_per_sequence(spec)));
  if (spec.architecture == Architecture::kVit) return images(batch, seed, step, input, target);
  check(spec);
  const auto context = static_cast<std::size_t>(spec.context);
  const auto targets = static_cast<std::size_t>(targets_per_sequence(spec));
  assert(target.size() == targets * static_cast<std::size_t>(batch));
  for (std::size_t row = 0; row < static_cast<std::size_t>(batch); ++row) {
    const std::uint64_t key = counter_hash({seed, static_cast<std::uint64_t>(step), row});
    const char* text = bytes_.data() + key % (bytes_.size() - context);
    const auto byte = [&](std::size_t i) {
      return static_cast<std::int64_t>(static_cast<unsigned char>(text[i]));
    };
    const auto in = input.subspan(row * context, context);
    const auto out = target.subspan(row * targets, targets);
    for (std::size_t i = 0; i < context; ++i) in[i] = byte(i);
    if (spec.architecture == Architecture::kMlp) {
      out[0] = byte(context);
    } else if (spec.architecture == Architecture::kGpt) {
      for (std::size_t i = 0; i < context; ++i) out[i] = byte(i + 1);
    } else {
      const std::size_t always = mix(key) % context;
      for (std::size_t i = 0; i < context; ++i) {
        const bool masked = i == always || mix(key + 1 + i) % kMaskOneIn == 0;
        out[i] = masked ? in[i] : kIgnoredTarget;
        if (masked) in[i] = kMaskToken;
      }
    }
  }
}

}  // namespace shardlab
