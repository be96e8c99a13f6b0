#include "ir/support/quantities.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>

namespace temper {

std::string format_time(double ns) {
  if (!(ns > 0) || !std::isfinite(ns))
    return "-";
  if (ns < 1)
    return fmt::format("{:.1g} ns", ns);
  if (ns < 1e3)
    return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6)
    return fmt::format("{:.2f} us", ns * 1e-3);
  if (ns < 1e9)
    return fmt::format("{:.3f} ms", ns * 1e-6);
  return fmt::format("{:.3f} s", ns * 1e-9);
}

double gflops(double flops, double ns) {
  return flops > 0 && ns > 0 && std::isfinite(flops) && std::isfinite(ns) ? flops / ns : 0;
}

const char* rate_unit(const std::string& binding_json) {
  const auto binding = parse_json(binding_json);
  if (binding && binding->is_object())
    if (const auto dtype = binding->find("dtype"); dtype != binding->end() && dtype->is_string())
      if (const auto& name = dtype->get_ref<const std::string&>();
          name.starts_with("int") || name.starts_with("uint"))
        return "GOP/s";
  return "GFLOP/s";
}

std::string format_rate(double flops, double ns, const std::string& binding_json) {
  const double rate = gflops(flops, ns);
  return rate > 0 ? fmt::format("{:.1f} {}", rate, rate_unit(binding_json)) : "-";
}

std::string short_target(const std::string& target) { return target.substr(0, target.find(',')); }

std::string format_count(int64_t count, const std::string& noun) {
  bool hisses = false;
  for (const char* end : {"s", "x", "ch", "sh"})
    hisses |= noun.ends_with(end);
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : (hisses ? "es" : "s"));
}

std::string format_seconds(double seconds) {
  if (seconds < 60)
    return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::lround(seconds));
  if (whole < 3600)
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string format_date(int64_t unix_ns) {
  const auto seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
  tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

std::string format_utc(int64_t unix_ns, char between) {
  const auto seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &utc);
  text[10] = between;
  return text;
}

Json ordered_binding(const std::string& binding_json, const std::string& parameters_json) {
  const Json binding = parse_json(binding_json).value_or(Json::object());
  Json ordered = Json::object();
  const Json names = parse_json(parameters_json).value_or(Json::array());
  for (const Json& name : names)
    if (name.is_string() && binding.contains(name.get<std::string>()))
      ordered[name.get<std::string>()] = binding[name.get<std::string>()];
  for (const auto& [name, value] : binding.items())
    if (!ordered.contains(name))
      ordered[name] = value;
  return ordered;
}

std::string format_binding(const std::string& binding_json) {
  std::string text;
  const Result<Json> binding = parse_json(binding_json);
  if (binding && binding->is_object())
    for (const auto& [name, value] : binding->items())
      if (!(value.is_string() && value.get<std::string>().empty())) // a default that says nothing
        text += (text.empty() ? "" : " ") + name + "=" +
                (value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

} // namespace temper
