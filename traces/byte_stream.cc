#include "traces/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <zlib.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr unsigned kPiece = 1 << 20;
constexpr std::size_t kPiecesAhead = 4;

class TextStream : public ByteStream {
 public:
  explicit TextStream(std::string_view text) : text_(text) {}
  std::size_t read(std::span<char> to) override {
    const std::size_t size = text_.copy(to.data(), to.size());
    text_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view text_;
};

/// zlib's reader, which passes on what is not compressed.
class GzipFile : public ByteStream {
 public:
  explicit GzipFile(std::string path) : path_(std::move(path)) {
    errno = 0;
    file_ = gzopen(path_.c_str(), "rb");
    if (file_ == nullptr) fail(std::generic_category().message(errno));
    gzbuffer(file_, kPiece);
  }
  ~GzipFile() override { gzclose_r(file_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  [[nodiscard]] bool packed() { return gzdirect(file_) == 0; }

  std::size_t read(std::span<char> to) override {
    std::size_t done = 0;
    while (done < to.size() && cut_off_.empty()) {
      const auto wanted = static_cast<unsigned>(std::min<std::size_t>(to.size() - done, 1U << 30));
      const int got = gzread(file_, to.data() + done, wanted);
      int code = Z_OK;
      const char* const what = gzerror(file_, &code);
      if (code == Z_ERRNO) fail(std::generic_category().message(errno));
      // zlib 1.2.13 gives what it could unpack, then complains; what follows the last member and is
      // no gzip stream it passes over in silence.
      if (code == Z_BUF_ERROR) cut_off_ = "its gzip stream is cut off";
      if (code == Z_DATA_ERROR) cut_off_ = std::string("its gzip stream is damaged: ") + what;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  [[nodiscard]] std::string cut_off() const override { return cut_off_; }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(path_ + ": cannot read: " + why);
  }

  std::string path_, cut_off_;
  gzFile file_ = nullptr;
};

/// Another stream, read by a thread some pieces ahead.
class ReadAhead : public ByteStream {
 public:
  explicit ReadAhead(std::unique_ptr<ByteStream> from)
      : from_(std::move(from)), thread_([this](const std::stop_token& stop) { fill(stop); }) {}

  std::size_t read(std::span<char> to) override {
    std::size_t done = 0;
    while (done < to.size() && ready()) {
      const std::size_t size = std::min(to.size() - done, piece_.size() - at_);
      std::memcpy(to.data() + done, piece_.data() + at_, size);
      at_ += size;
      done += size;
    }
    return done;
  }

  [[nodiscard]] std::string cut_off() const override {
    const std::scoped_lock lock(mutex_);
    return ended_ ? from_->cut_off() : "";
  }

 private:
  /// Something is left of the piece at hand or the next one. False at the end.
  bool ready() {
    if (at_ < piece_.size()) return true;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !pieces_.empty() || ended_; });
    if (pieces_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return false;
    }
    piece_ = std::move(pieces_.front());
    pieces_.pop_front();
    at_ = 0;
    changed_.notify_all();
    return true;
  }

  void fill(const std::stop_token& stop) {
    std::exception_ptr failure;
    try {
      for (std::vector<char> piece(kPiece);; piece.resize(kPiece)) {
        piece.resize(from_->read(piece));
        if (piece.empty()) break;
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [&] { return pieces_.size() < kPiecesAhead; })) return;
        pieces_.push_back(std::exchange(piece, {}));
        changed_.notify_all();
      }
    } catch (...) {
      failure = std::current_exception();
    }
    const std::scoped_lock lock(mutex_);
    failure_ = failure;
    ended_ = true;
    changed_.notify_all();
  }

  std::unique_ptr<ByteStream> from_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::vector<char>> pieces_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::vector<char> piece_;  ///< Of the reader alone, as `at_`.
  std::size_t at_ = 0;
  std::jthread thread_;  ///< Ends first.
};

}  // namespace

std::unique_ptr<ByteStream> text_stream(std::string_view text) {
  return std::make_unique<TextStream>(text);
}

std::unique_ptr<ByteStream> open_stream(const std::string& path) {
  auto file = std::make_unique<GzipFile>(path);
  const bool packed = file->packed();
  if (!packed) return file;
  return std::make_unique<ReadAhead>(std::move(file));
}

}  // namespace shardlab
