/// Texts of the GUI: the command line's quantities (ir/support/quantities.h) as QString, and a few
/// that only tables need.
#pragma once

#include "database/records.h"

#include <QString>

#include <cstdint>

namespace temper::gui {

QString toQString(const std::string& text);
/// The sentence of an error and its notes.
QString sentence(const Error& error);

QString timeText(double ns);
QString rateText(double flops, double ns, const std::string& bindingJson);
QString secondsText(double seconds);
QString dateText(int64_t unixNs);
QString countText(int64_t count, const char* noun); ///< "1 record", "12,345 records"
QString numberText(int64_t number);                 ///< with thousands separated
/// Half the width of an interval in per cent of the median: "±0.4 %"; empty when not known.
QString halfWidthText(double median, double low, double high);
/// An outcome as people say it: "compile failed".
QString outcomeText(database::Outcome outcome);
/// A run's state with a mark that says the same without colour: "● running".
QString stateText(database::RunState state);
/// The first eight characters, enough to name it on a command line nearly always.
QString shortId(const QString& id);
/// A word as a shell takes it.
QString shellWord(const QString& word);
QString shellCommand(const QString& program, const QStringList& arguments);

} // namespace temper::gui
