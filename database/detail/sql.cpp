#include "database/detail/sql.h"

#include <algorithm>

namespace temper::database::detail {

namespace {
constexpr size_t kCacheLimit = 200; // distinct statements; the store itself has about 100
}

Result<int64_t> Connection::integer(const std::string& sql) {
  Query query(*this, sql);
  if (!query.next()) {
    TEMPER_TRY_VOID(query.finish());
    return Error(ErrorCode::kNotFound, "no row for: " + sql);
  }
  return query.integer();
}

Result<void> Connection::begin(Access access) {
  if (depth_ == 0)
    TEMPER_TRY_VOID(begin_outermost(access));
  ++depth_;
  return {};
}

Result<void> Connection::commit() {
  // A nested transaction that failed has rolled back everything.
  if (depth_ == 0)
    return Error(ErrorCode::kFailed, "the transaction was rolled back by a failed part of it");
  if (--depth_ > 0)
    return {};
  Result<void> result = commit_outermost();
  if (!result) {
    depth_ = 1;
    rollback();
  }
  return result;
}

void Connection::rollback() {
  if (depth_ == 0)
    return;
  depth_ = 0;
  ++rollbacks_;
  rollback_outermost();
}

Connection::Cached* Connection::prepare(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found == cache_.end())
    found = cache_.emplace(std::string(sql), std::vector<std::unique_ptr<Cached>>()).first;
  // A visitor may run the same statement while it is being walked: then it gets one of its own.
  for (const auto& cached : found->second)
    if (!cached->busy) {
      cached->busy = true;
      return cached.get();
    }
  // Filters make statements of their own; the cache must not grow with every one a viewer asks.
  if (cache_.size() > kCacheLimit)
    std::erase_if(cache_, [&](auto& entry) {
      return &entry.second != &found->second &&
             std::ranges::none_of(entry.second, [](const auto& cached) { return cached->busy; });
    });
  std::unique_ptr<Statement> statement = make_statement(sql);
  if (!statement)
    return nullptr;
  found->second.push_back(std::make_unique<Cached>(std::move(statement), true));
  return found->second.back().get();
}

Query::~Query() {
  if (!cached_)
    return;
  cached_->statement->reset();
  cached_->busy = false;
}

Query& Query::bind(int64_t value) {
  if (cached_)
    statement().bind_integer(parameter_++, value);
  return *this;
}

Query& Query::bind(double value) {
  if (std::isnan(value))
    return bind(Null{});
  if (cached_)
    statement().bind_real(parameter_++, value);
  return *this;
}

Query& Query::bind(std::string_view text) {
  if (cached_)
    statement().bind_text(parameter_++, text);
  return *this;
}

Query& Query::bind(Blob blob) {
  if (!blob.bytes.data())
    return bind(Null{});
  if (cached_)
    statement().bind_blob(parameter_++, blob.bytes);
  return *this;
}

Query& Query::bind(Null) {
  if (cached_)
    statement().bind_null(parameter_++);
  return *this;
}

Query& Query::many() {
  if (cached_)
    statement().expect_many();
  return *this;
}

bool Query::next() {
  if (error_ || !cached_)
    return false;
  column_ = 0;
  TEMPER_CHECK(parameter_ == statement().parameter_count(),
               "a statement gets a value for each of its parameters");
  switch (statement().step()) {
  case Statement::Step::kRow:
    return true;
  case Statement::Step::kFailed:
    error_ = connection_.last_error();
    break;
  case Statement::Step::kDone:
    break;
  }
  return false;
}

Result<void> Query::finish() {
  if (error_)
    return *error_;
  return {};
}

Result<void> Query::run() {
  while (next()) {
  }
  return finish();
}

double Query::real() {
  if (is_null()) {
    ++column_;
    return std::numeric_limits<double>::quiet_NaN();
  }
  return statement().real(column_++);
}

std::string valid_text(std::string_view text) {
  // Nearly all of it is ASCII: a loop without branches sees that.
  bool plain = true;
  for (const char c : text)
    plain &= c > 0;
  if (plain)
    return std::string(text);
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80   ? 1
                          : byte < 0xc2 ? 0
                          : byte < 0xe0 ? 2
                          : byte < 0xf0 ? 3
                          : byte < 0xf5 ? 4
                                        : 0;
    bool valid = length > 0 && byte != 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k) {
      const auto more = static_cast<unsigned char>(text[i + k]);
      valid = (more & 0xc0) == 0x80;
      // Over-long forms, surrogates, and beyond U+10FFFF.
      if (k == 1 && ((byte == 0xe0 && more < 0xa0) || (byte == 0xed && more > 0x9f) ||
                     (byte == 0xf0 && more < 0x90) || (byte == 0xf4 && more > 0x8f)))
        valid = false;
    }
    if (valid)
      result.append(text.substr(i, length));
    else
      result += '?';
    i += valid ? length : 1;
  }
  return result;
}

} // namespace temper::database::detail
