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

constexpr std::pair<ArtifactKind, const char*> kKinds[] = {
    {ArtifactKind::kSharedObject, "shared_object"},
    {ArtifactKind::kLibrary, "library"},
    {ArtifactKind::kCubin, "cubin"}};

Json kernel_to_json(const CudaKernel& kernel) {
  Json json{{"name", kernel.name},
            {"grid", kernel.grid},
            {"block", kernel.block},
            {"shared_bytes", kernel.shared_bytes}};
  if (!kernel.cluster.empty())
    json["cluster"] = kernel.cluster;
  for (const TensorMap& map : kernel.tensor_maps)
    json["tensor_maps"].push_back(Json{{"argument", map.argument},
                                       {"dtype", map.dtype},
                                       {"shape", map.shape},
                                       {"strides_bytes", map.strides_bytes},
                                       {"box", map.box},
                                       {"swizzle_bytes", map.swizzle_bytes}});
  return json;
}

CudaKernel kernel_from_json(const Json& json) {
  CudaKernel kernel;
  kernel.name = json.at("name").get<std::string>();
  kernel.grid = json.at("grid").get<std::vector<int64_t>>();
  kernel.block = json.at("block").get<std::vector<int64_t>>();
  kernel.shared_bytes = json.at("shared_bytes").get<int64_t>();
  kernel.cluster = json.value("cluster", std::vector<int64_t>());
  for (const Json& item : json.value("tensor_maps", Json::array()))
    kernel.tensor_maps.push_back(
        {item.at("argument").get<int>(), item.at("dtype").get<std::string>(),
         item.at("shape").get<std::vector<int64_t>>(),
         item.at("strides_bytes").get<std::vector<int64_t>>(),
         item.at("box").get<std::vector<int64_t>>(), item.at("swizzle_bytes").get<int>()});
  return kernel;
}

} // namespace

Json facts_to_json(const StaticFacts& facts) {
  Json json{{"code_bytes", facts.code_bytes},
            {"stack_bytes", facts.stack_bytes},
            {"spills", facts.spills},
            {"vector_bits", facts.vector_bits},
            {"instructions", facts.instructions},
            {"lower_ms", facts.lower_ms},
            {"optimize_ms", facts.optimize_ms},
            {"emit_ms", facts.emit_ms},
            {"link_ms", facts.link_ms}};
  if (facts.registers > 0) {
    json["registers"] = facts.registers;
    json["spilled_bytes"] = facts.spilled_bytes;
    json["shared_bytes"] = facts.shared_bytes;
    json["resident_blocks"] = facts.resident_blocks;
    json["limited_by"] = facts.limited_by;
    json["operations"] = facts.operations;
    if (!facts.warnings.empty())
      json["warnings"] = facts.warnings;
  }
  return json;
}

StaticFacts facts_from_json(const Json& json) {
  StaticFacts facts;
  facts.code_bytes = json.at("code_bytes").get<int64_t>();
  facts.stack_bytes = json.at("stack_bytes").get<int64_t>();
  facts.spills = json.at("spills").get<int64_t>();
  facts.vector_bits = json.at("vector_bits").get<int>();
  facts.instructions = json.at("instructions").get<int64_t>();
  facts.lower_ms = json.at("lower_ms").get<double>();
  facts.optimize_ms = json.at("optimize_ms").get<double>();
  facts.emit_ms = json.at("emit_ms").get<double>();
  facts.link_ms = json.at("link_ms").get<double>();
  facts.registers = json.value("registers", int64_t{0});
  facts.spilled_bytes = json.value("spilled_bytes", int64_t{0});
  facts.shared_bytes = json.value("shared_bytes", int64_t{0});
  facts.resident_blocks = json.value("resident_blocks", int64_t{0});
  facts.limited_by = json.value("limited_by", "");
  facts.operations = json.value("operations", std::map<std::string, int64_t>());
  facts.warnings = json.value("warnings", std::vector<std::string>());
  return facts;
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
  const char* kind = "";
  for (const auto& [one, word] : kKinds)
    if (one == artifact.kind)
      kind = word;
  Json json{{"kind", kind},
            {"entry", artifact.entry},
            {"library_path", artifact.library_path},
            {"environment", artifact.environment},
            {"signature", std::move(signature)},
            {"packs", std::move(packs)},
            {"threads", artifact.launch.threads},
            {"facts", facts_to_json(artifact.facts)},
            {"target", artifact.target},
            {"code_hash", hash_to_hex(artifact.code_hash)}};
  for (const CudaKernel& kernel : artifact.launch.kernels)
    json["kernels"].push_back(kernel_to_json(kernel));
  if (!artifact.launch.workspaces.empty())
    json["workspaces"] = artifact.launch.workspaces;
  return json;
}

Result<Artifact> artifact_from_json(const Json& json) {
  Artifact artifact;
  try {
    for (const auto& [kind, word] : kKinds)
      if (json.at("kind").get<std::string>() == word)
        artifact.kind = kind;
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
    for (const Json& kernel : json.value("kernels", Json::array()))
      artifact.launch.kernels.push_back(kernel_from_json(kernel));
    artifact.launch.workspaces = json.value("workspaces", std::vector<int64_t>());
    artifact.facts = facts_from_json(json.at("facts"));
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
