/// Artifacts as bytes: between the compile processes and the tuner, and in the database.
#pragma once

#include "codegen/artifact.h"
#include "ir/support/json.h"

namespace temper::codegen {

/// Entry, signature, launch plan, facts, target and hash; without the machine code.
Json artifact_to_json(const Artifact& artifact);
/// The counterpart; `code` and `object` stay empty. An error names the field.
Result<Artifact> artifact_from_json(const Json& json);

/// The relocatable objects one behind the other, that of the kernel first.
std::string objects_of(const Artifact& artifact);
/// The counterpart, for an artifact that was made from `json`.
Result<void> set_objects(Artifact& artifact, const Json& json, std::string_view objects);

/// What only GPU code has is left out where there is none.
Json facts_to_json(const StaticFacts& facts);
/// The counterpart; throws Json::exception where something is missing.
StaticFacts facts_from_json(const Json& json);

/// Everything in one string: a JSON header, then the bytes. Only between processes of one build.
std::string serialize_artifact(const Artifact& artifact);
Result<Artifact> deserialize_artifact(std::string_view bytes);

} // namespace temper::codegen
