#pragma once

#include <string>

#include "core/error.h"

namespace shardlab {

/// The text of the Error that `body` throws, or "no error".
template <typename Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace shardlab
