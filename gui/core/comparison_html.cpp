#include "gui/core/comparison_html.h"

#include "gui/core/side_facts.h"

namespace temper::gui {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; }
body { font: 14px/1.5 sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 1px 8px; }
.code td { font: 12px/1.4 monospace; white-space: pre-wrap; width: 50%; }
.changed td { background: #e6a0002e; }
.a td:first-child, .b td:last-child { background: #0072b22e; }
.note { opacity: 0.7; }
)";

QString escaped(const QString& text) { return text.toHtmlEscaped(); }

const char* classOf(DiffLine::Kind kind) {
  switch (kind) {
  case DiffLine::Kind::kChanged:
    return "changed";
  case DiffLine::Kind::kOnlyLeft:
    return "a";
  case DiffLine::Kind::kOnlyRight:
    return "b";
  case DiffLine::Kind::kSame:
    break;
  }
  return "";
}

} // namespace

QString comparisonHtml(const ComparisonReport& report) {
  const QString title = QStringLiteral("%1 and %2").arg(report.a.shortRecord, report.b.shortRecord);
  QString html = QStringLiteral("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                "<title>%1</title><style>%2</style></head><body>\n<h1>%3</h1>\n")
                     .arg(escaped(title), QString::fromLatin1(kStyle), escaped(report.sentence));
  if (!report.measured.isEmpty())
    html += QStringLiteral("<p>%1</p>\n").arg(escaped(report.measured));
  if (!report.changes.isEmpty()) {
    html += QStringLiteral("<h2>Decided otherwise, A → B</h2>\n<ul>");
    for (const QString& change : report.changes)
      html += QStringLiteral("<li>%1</li>").arg(escaped(change));
    html += QStringLiteral("</ul>\n");
  }
  for (const WhySection& section : report.why) {
    html += QStringLiteral("<h2>%1</h2>\n").arg(escaped(section.title));
    if (!section.note.isEmpty())
      html += QStringLiteral("<p class=\"note\">%1</p>\n").arg(escaped(section.note));
    html += QStringLiteral("<table>");
    for (const WhyRow& row : section.rows)
      html += QStringLiteral("<tr title=\"%1\"><td>%2</td><td>%3</td><td>%4</td><td>%5</td></tr>\n")
                  .arg(escaped(row.tip), escaped(row.what), escaped(row.a), escaped(row.b),
                       escaped(row.effect));
    html += QStringLiteral("</table>\n");
  }
  html += QStringLiteral("<h2>The records</h2>\n<table><tr><th></th><th>A</th><th>B</th>"
                         "<th>B over A</th></tr>\n");
  for (const FactPair& pair : factPairs(report.a, report.b))
    html += QStringLiteral("<tr title=\"%1\"><td class=\"note\">%2</td><td>%3</td><td>%4</td>"
                           "<td>%5</td></tr>\n")
                .arg(escaped(pair.tip), escaped(pair.name), escaped(pair.a), escaped(pair.b),
                     escaped(pair.ratio));
  html +=
      QStringLiteral("</table>\n<h2>%1</h2>\n<table class=\"code\">\n").arg(escaped(report.level));
  for (size_t i = 0; i < report.texts.kinds.size(); ++i) {
    const auto at = static_cast<qsizetype>(i);
    html += QStringLiteral("<tr class=\"%1\"><td>%2</td><td>%3</td></tr>\n")
                .arg(QString::fromLatin1(classOf(report.texts.kinds[i])),
                     escaped(report.texts.left[at]), escaped(report.texts.right[at]));
  }
  return html + QStringLiteral("</table>\n</body></html>\n");
}

} // namespace temper::gui
