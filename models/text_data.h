#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/model.h"

namespace shardlab {

/// Text as bytes, or for a vit images, and minibatches drawn from it. Read-only once made: jobs and
/// threads may share it. Images are a file in CIFAR-10's binary format: records of a label (0 to 9)
/// and kImageNumbers bytes, a plane per colour (cs.toronto.edu/~kriz/cifar.html).
class TextData {
 public:
  static constexpr std::size_t kLargest = std::size_t{64}
                                          << 20;  ///< More text than this is left out.

  /// A text file; or a folder: its text files, sorted by path, hidden and binary ones left out; or,
  /// with "", the sources of the newest Python standard library of this machine. Throws Error when
  /// there is no text.
  static TextData load(const std::string& path);

  TextData(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}

  [[nodiscard]] const std::string& name() const { return name_; }  ///< Where it came from.
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::uint64_t hash() const;  ///< XXH3 of the text.

  /// Throws Error when there is too little text for one sequence of `spec`, or no images.
  void check(const ModelSpec& spec) const;

  /// Minibatch `step` of a job: a function of (seed, step, row) and the data. input: batch x
  /// inputs_per_sequence(spec) token ids or pixels; target: batch x targets_per_sequence(spec)
  /// bytes or labels, or kIgnoredTarget where nothing was masked (bert: one byte in seven on
  /// average, at least one per sequence). Requires spans of those sizes. Throws as check(); images
  /// must have passed it.
  void batch(const ModelSpec& spec, int batch, std::uint64_t seed, std::int64_t step,
             std::span<std::int64_t> input, std::span<std::int64_t> target) const;

 private:
  void check_images() const;
  void images(int batch, std::uint64_t seed, std::int64_t step, std::span<std::int64_t> input,
              std::span<std::int64_t> target) const;

  std::string name_;
  std::string bytes_;
};

}  // namespace shardlab
