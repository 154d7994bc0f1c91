#include "traces/atomic_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "traces/input_files.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

/// Some ten times a timeline of millions of units. Without it, a device such as /dev/zero never
/// ends.
constexpr std::size_t kLargestFile = std::size_t{2} << 30;

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error(fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

/// Closes on the way out; `close()` itself may fail late on a full network disk, so success asks
/// for it.
class OpenFile {
 public:
  OpenFile(const std::string& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags, 0666)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(path_, "cannot write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void sync() const {
    if (::fsync(fd_) != 0) fail(path_, "cannot write");
  }

  void close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) fail(path_, "cannot write");
  }

  /// Nothing at the end of the file.
  std::string_view read(std::array<char, 65536>& buffer) const {
    ssize_t got = -1;
    do got = ::read(fd_, buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) fail(path_, "cannot read");
    return {buffer.data(), static_cast<std::size_t>(got)};
  }

 private:
  std::string path_;
  int fd_;
};

void write_directly(const std::string& path, std::span<const std::string_view> parts) {
  OpenFile file(path, O_WRONLY | O_CLOEXEC);
  if (!file.is_open()) fail(path, "cannot write");
  for (const std::string_view part : parts) file.write(part);
  file.close();
}

/// A new file beside `path`; O_EXCL, so that two writers never share one.
std::string unused_name(const std::string& path) {
  constexpr int kAttempts = 1000;  // Left-overs of killed processes with our process id.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string name = fmt::format("{}.{}-{}.tmp", path, ::getpid(), attempt);
    const OpenFile file(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
    if (file.is_open()) return name;
    if (errno != EEXIST) fail(path, "cannot write");
  }
  throw Error(path + ": cannot write: too many temporary files beside it; remove *.tmp");
}

/// Makes the rename itself last; a file system that cannot is no reason to fail.
void sync_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const OpenFile open(folder.string(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  try {
    if (open.is_open()) open.sync();
  } catch (const Error&) {
  }
}

void write_and_rename(const std::string& target, std::span<const std::string_view> parts) {
  const std::string temporary = unused_name(target);
  try {
    OpenFile file(temporary, O_WRONLY | O_CLOEXEC);
    if (!file.is_open()) fail(target, "cannot write");
    for (const std::string_view part : parts) file.write(part);
    file.sync();
    file.close();
    if (::rename(temporary.c_str(), target.c_str()) != 0) fail(target, "cannot write");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(target);
}

std::string read_from_disk(const std::string& path) {
  const OpenFile file(path, O_RDONLY | O_CLOEXEC);
  if (!file.is_open()) fail(path, "cannot read");
  std::array<char, 65536> buffer{};
  std::string text;
  for (auto part = file.read(buffer); !part.empty(); part = file.read(buffer)) {
    text += part;
    if (text.size() > kLargestFile) {
      throw Error(fmt::format("{}: cannot read: is larger than {}", path,
                              format_bytes(static_cast<Bytes>(kLargestFile))));
    }
  }
  return text;
}

}  // namespace

void write_file_atomically(const std::string& path, std::string_view content) {
  write_file_atomically(path, std::span(&content, 1));
}

void write_file_atomically(const std::string& path, std::span<const std::string_view> parts) {
  std::error_code none;
  const fs::file_status status = fs::status(path, none);
  if (fs::is_directory(status)) throw Error(path + ": cannot write: it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) return write_directly(path, parts);
  // A link stays a link: what it points to is replaced.
  write_and_rename(fs::exists(status) ? fs::canonical(path).string() : path, parts);
}

std::string read_whole_file(const std::string& path) {
  return input(path, [&] { return read_from_disk(path); });
}

}  // namespace shardlab
