#include "codegen/artifact_json.h"

#include "ir/support/hash.h"

namespace temper::codegen {
namespace {

Error broken(const std::string& what) {
  return {ErrorCode::kCorrupt, "an artifact's description is broken: " + what};
}

Json argument_to_json(const ArgumentSpec& argument) {
  return Json{{"name", argument.name},
              {"dtype", to_string(argument.dtype)},
              {"shape", argument.shape},
              {"buffer", argument.is_buffer},
              {"output", argument.is_output}};
}

Result<ArgumentSpec> argument_from_json(const Json& item) {
  ArgumentSpec argument;
  argument.name = item.at("name").get<std::string>();
  const auto dtype = parse_data_type(item.at("dtype").get<std::string>());
  if (!dtype)
    return broken("unknown type of argument '" + argument.name + "'");
  argument.dtype = *dtype;
  argument.shape = item.at("shape").get<std::vector<int64_t>>();
  argument.is_buffer = item.at("buffer").get<bool>();
  argument.is_output = item.at("output").get<bool>();
  return argument;
}

} // namespace

Json facts_to_json(const StaticFacts& facts) {
  return Json{{"code_bytes", facts.code_bytes},
              {"stack_bytes", facts.stack_bytes},
              {"spills", facts.spills},
              {"vector_bits", facts.vector_bits},
              {"instructions", facts.instructions},
              {"lower_ms", facts.lower_ms},
              {"optimize_ms", facts.optimize_ms},
              {"emit_ms", facts.emit_ms},
              {"link_ms", facts.link_ms}};
}

Json artifact_to_json(const Artifact& artifact) {
  Json signature = Json::array();
  for (const ArgumentSpec& argument : artifact.signature)
    signature.push_back(argument_to_json(argument));
  Json packs = Json::array();
  for (const PackStep& pack : artifact.packs)
    packs.push_back(Json{{"argument", pack.argument},
                         {"entry", pack.entry},
                         {"packed", argument_to_json(pack.packed)},
                         {"object_size", pack.object.size()}});
  return Json{{"kind", artifact.kind == ArtifactKind::kLibrary ? "library" : "shared_object"},
              {"entry", artifact.entry},
              {"library_path", artifact.library_path},
              {"environment", artifact.environment},
              {"signature", std::move(signature)},
              {"packs", std::move(packs)},
              {"threads", artifact.launch.threads},
              {"facts", facts_to_json(artifact.facts)},
              {"target", artifact.target},
              {"code_hash", hash_to_hex(artifact.code_hash)}};
}

Result<Artifact> artifact_from_json(const Json& json) {
  Artifact artifact;
  try {
    artifact.kind = json.at("kind").get<std::string>() == "library" ? ArtifactKind::kLibrary
                                                                    : ArtifactKind::kSharedObject;
    artifact.entry = json.at("entry").get<std::string>();
    artifact.library_path = json.value("library_path", "");
    for (const auto& [key, value] : json.at("environment").items())
      artifact.environment[key] = value.get<std::string>();
    for (const Json& item : json.at("signature")) {
      TEMPER_TRY(argument, argument_from_json(item));
      artifact.signature.push_back(std::move(argument));
    }
    for (const Json& item : json.value("packs", Json::array())) {
      PackStep pack;
      pack.argument = item.at("argument").get<int>();
      pack.entry = item.at("entry").get<std::string>();
      TEMPER_TRY(packed, argument_from_json(item.at("packed")));
      pack.packed = std::move(packed);
      if (pack.argument < 0 || static_cast<size_t>(pack.argument) >= artifact.signature.size())
        return broken("it packs an argument that it has not");
      artifact.packs.push_back(std::move(pack));
    }
    artifact.launch.threads = json.at("threads").get<int>();
    const Json& facts = json.at("facts");
    artifact.facts = {
        facts.at("code_bytes").get<int64_t>(),   facts.at("stack_bytes").get<int64_t>(),
        facts.at("spills").get<int64_t>(),       facts.at("vector_bits").get<int>(),
        facts.at("instructions").get<int64_t>(), facts.at("lower_ms").get<double>(),
        facts.at("optimize_ms").get<double>(),   facts.at("emit_ms").get<double>(),
        facts.at("link_ms").get<double>()};
    artifact.target = json.at("target").get<std::string>();
    artifact.code_hash = std::stoull(json.at("code_hash").get<std::string>(), nullptr, 16);
  } catch (const std::exception& error) {
    return broken(error.what());
  }
  return artifact;
}

std::string serialize_artifact(const Artifact& artifact) {
  Json header = artifact_to_json(artifact);
  header["code_size"] = artifact.code.size();
  const std::string objects = objects_of(artifact);
  header["object_size"] = objects.size();
  // The header ends at the first newline: dump() writes none.
  return header.dump() + "\n" + artifact.code + objects;
}

std::string objects_of(const Artifact& artifact) {
  std::string objects = artifact.object;
  for (const PackStep& pack : artifact.packs)
    objects += pack.object;
  return objects;
}

Result<void> set_objects(Artifact& artifact, const Json& json, std::string_view objects) {
  if (objects.empty())
    return {}; // not kept
  size_t end = objects.size();
  const Json packs = json.value("packs", Json::array());
  for (size_t i = artifact.packs.size(); i-- > 0;) {
    const size_t size = i < packs.size() ? packs[i].value("object_size", size_t{0}) : 0;
    if (size > end)
      return broken("its bytes are cut off");
    end -= size;
    artifact.packs[i].object = objects.substr(end, size);
  }
  artifact.object = objects.substr(0, end);
  return {};
}

Result<Artifact> deserialize_artifact(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos)
    return broken("it has no header");
  TEMPER_TRY(header, parse_json(bytes.substr(0, end)));
  TEMPER_TRY(artifact, artifact_from_json(header));
  const auto code_size = header.value("code_size", size_t{0});
  const auto object_size = header.value("object_size", size_t{0});
  bytes.remove_prefix(end + 1);
  if (bytes.size() != code_size + object_size)
    return broken("its bytes are cut off");
  artifact.code = bytes.substr(0, code_size);
  TEMPER_TRY_VOID(set_objects(artifact, header, bytes.substr(code_size)));
  return std::move(artifact);
}

} // namespace temper::codegen
