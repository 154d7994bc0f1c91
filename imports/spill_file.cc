#include "imports/spill_file.h"

#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

std::string folder() {
  const char* const given = std::getenv("TMPDIR");
  return given == nullptr || *given == '\0' ? "/tmp" : given;
}

[[noreturn]] void fail(const char* what) {
  throw Error(fmt::format("cannot {} a temporary file in {}: {}; TMPDIR names another folder", what,
                          folder(), std::generic_category().message(errno)));
}

}  // namespace

SpillFile::~SpillFile() {
  if (file_ >= 0) close(file_);
}

SpillFile::SpillFile(SpillFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)), size_(std::exchange(other.size_, 0)) {}

SpillFile& SpillFile::operator=(SpillFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  return *this;
}

void SpillFile::open() {
  std::string path = folder() + "/shardlab-XXXXXX";
  file_ = mkostemp(path.data(), O_CLOEXEC);
  if (file_ < 0) fail("make");
  unlink(path.c_str());
}

std::int64_t SpillFile::append(const void* from, std::size_t size) {
  if (file_ < 0) open();
  const char* at = static_cast<const char*>(from);
  const std::int64_t begin = size_;
  while (size > 0) {
    const ssize_t done = pwrite(file_, at, size, size_);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail("write");
    at += done;
    size -= static_cast<std::size_t>(done);
    size_ += done;
  }
  return begin;
}

void SpillFile::read(std::int64_t at, void* to, std::size_t size) const {
  assert(at + static_cast<std::int64_t>(size) <= size_);
  char* put = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t done = pread(file_, put, size, at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail("read");
    put += done;
    size -= static_cast<std::size_t>(done);
    at += done;
  }
}

}  // namespace shardlab
