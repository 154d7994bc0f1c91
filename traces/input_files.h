#pragma once

#include <functional>
#include <string>
#include <vector>

namespace shardlab {

/// What a result was made of: a file as it was given, or a name of something that came along.
struct InputFile {
  std::string path, text;
  bool operator==(const InputFile&) const = default;
};

/// Keeps every text that is read while it lives, or serves the reading from what was kept.
///
/// What simulates reads its files by read_whole_file(), so nothing can be forgotten: a result holds
/// all that it was made of. That is why the recording is found by the process and not handed from
/// reader to reader. At most one lives at a time. Reading is thread-safe, its life is not.
class InputRecording {
 public:
  InputRecording();
  /// Serves these; a path that is not among them is an Error.
  explicit InputRecording(std::vector<InputFile> kept);
  ~InputRecording();
  InputRecording(const InputRecording&) = delete;
  InputRecording& operator=(const InputRecording&) = delete;

  /// In the order of their first reading.
  [[nodiscard]] const std::vector<InputFile>& files() const { return files_; }

 private:
  friend std::string input(const std::string& path, const std::function<std::string()>& read);

  bool serves_ = false;
  std::vector<InputFile> files_;
};

/// The text of `path`: by `read`, unless a recording serves it.
std::string input(const std::string& path, const std::function<std::string()>& read);

}  // namespace shardlab
