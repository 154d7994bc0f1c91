#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "report/drawing.h"

namespace shardlab {

/// Whether colours and redrawn lines make sense on `stream`: a terminal, and for colours no
/// NO_COLOR.
bool is_terminal(std::FILE* stream);
bool has_colors(std::FILE* stream);

/// Drawings as wide as the terminal, 100 columns where there is none.
DrawingOptions drawing_options(std::FILE* stream);

/// One line on stderr that is drawn again and again; nothing where stderr is no terminal.
class ProgressLine {
 public:
  ProgressLine() : shown_(is_terminal(stderr)) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  [[nodiscard]] bool shown() const { return shown_; }
  /// At most ten times a second; the rest is dropped.
  void update(const std::string& text);
  void clear();

 private:
  bool shown_;
  bool dirty_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace shardlab
