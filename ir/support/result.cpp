#include "ir/support/result.h"

namespace temper {

const char* to_string(ErrorCode code) {
  switch (code) {
  case ErrorCode::kInvalidArgument:
    return "invalid_argument";
  case ErrorCode::kNotFound:
    return "not_found";
  case ErrorCode::kUnsupported:
    return "unsupported";
  case ErrorCode::kIllegal:
    return "illegal";
  case ErrorCode::kEnvironment:
    return "environment";
  case ErrorCode::kCorrupt:
    return "corrupt";
  case ErrorCode::kFailed:
    return "failed";
  case ErrorCode::kInterrupted:
    return "interrupted";
  }
  return "unknown";
}

std::string Error::to_string() const {
  std::string text = message;
  for (const std::string& note : notes)
    text += "\n  " + note;
  return text;
}

} // namespace temper
