#pragma once

#include <cstddef>
#include <cstdint>

namespace shardlab {

/// What does not fit memory: a file without a name in the folder for temporary files (TMPDIR, else
/// /tmp), made when it is first written and gone with this object or with the process.
class SpillFile {
 public:
  SpillFile() = default;
  ~SpillFile();
  SpillFile(SpillFile&& other) noexcept;
  SpillFile& operator=(SpillFile&& other) noexcept;

  /// Puts that many bytes behind what is there; where they begin. Throws Error with the folder and
  /// the system's reason.
  std::int64_t append(const void* from, std::size_t size);
  /// Bytes that append() took. Throws Error likewise.
  void read(std::int64_t at, void* to, std::size_t size) const;

 private:
  void open();

  int file_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace shardlab
