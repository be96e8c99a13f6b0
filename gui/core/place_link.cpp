#include "gui/core/place_link.h"

#include "gui/core/format.h"

#include <QUrl>
#include <QUrlQuery>

#include <algorithm>

namespace temper::gui {

namespace {

constexpr QLatin1StringView kScheme{"temper"};
constexpr QLatin1StringView kFilter{"filter."};

/// Fields that are texts as they are.
template <typename Link> auto textsOf(Link& link) {
  return std::array{std::pair{"db", &link.database},   std::pair{"view", &link.view},
                    std::pair{"record", &link.record}, std::pair{"run", &link.run},
                    std::pair{"a", &link.sides[0]},    std::pair{"b", &link.sides[1]},
                    std::pair{"level", &link.level},   std::pair{"plot", &link.plot},
                    std::pair{"query", &link.query},   std::pair{"sort", &link.sort}};
}

QString filterName(int column) { return kFilter + columnTitle(static_cast<RecordColumn>(column)); }

Error wrong(const QString& what) {
  return Error(ErrorCode::kInvalidArgument,
               what.toStdString() + "; copy a link with Ctrl+Alt+L in the workbench");
}

} // namespace

bool PlaceLink::isLink(const QString& text) {
  return text.trimmed().startsWith(kScheme + QStringLiteral("://"), Qt::CaseInsensitive);
}

QString PlaceLink::toText() const {
  QUrlQuery query;
  const auto add = [&](const QString& name, const QString& value) {
    // A plus sign is read as itself, by us, and as a blank elsewhere: it goes encoded.
    if (!value.isEmpty())
      query.addQueryItem(QString::fromLatin1(QUrl::toPercentEncoding(name)),
                         QString::fromLatin1(QUrl::toPercentEncoding(value, "/:,*@")));
  };
  for (const auto& [name, text] : textsOf(*this))
    add(QString::fromLatin1(name), *text);
  for (int column = 0; column < kRecordColumns; ++column)
    add(filterName(column), filter.columns[static_cast<size_t>(column)]);
  QUrl url;
  url.setScheme(kScheme);
  url.setHost(QStringLiteral("open"));
  url.setQuery(query);
  return url.toString(QUrl::FullyEncoded);
}

Result<PlaceLink> PlaceLink::parse(const QString& text) {
  const QUrl url(text.trimmed(), QUrl::StrictMode);
  if (!url.isValid() || url.scheme() != kScheme || url.host() != u"open")
    return wrong(
        QStringLiteral("'%1' is no link: one begins with temper://open?").arg(text.left(60)));
  PlaceLink link;
  for (const auto& [name, value] : QUrlQuery(url).queryItems(QUrl::FullyDecoded)) {
    bool known = false;
    for (const auto& [field, into] : textsOf(link))
      if (name == QLatin1StringView(field)) {
        *into = value;
        known = true;
      }
    for (int column = 0; column < kRecordColumns; ++column)
      if (name == filterName(column)) {
        link.filter.columns[static_cast<size_t>(column)] = value;
        known = true;
      }
    if (!known)
      return wrong(
          QStringLiteral("the link says '%1', which this workbench does not know").arg(name));
  }
  const auto isOneOf = [](const QString& word, const auto& names) {
    return word.isEmpty() || std::any_of(names.begin(), names.end(), [&](const char* name) {
             return word == QLatin1StringView(name);
           });
  };
  if (!isOneOf(link.view, kViewNames) || !isOneOf(link.plot, kPlotNames))
    return wrong(QStringLiteral("the link's view '%1' or plot '%2' is none of this workbench")
                     .arg(link.view.left(40), link.plot.left(40)));
  for (const auto& [id, kind] : {std::pair{link.record, u'm'}, std::pair{link.run, u'r'},
                                 std::pair{link.sides[0], u'm'}, std::pair{link.sides[1], u'm'}})
    if (!id.isEmpty() && (!database::looks_like_id(id.toStdString()) || id[0] != kind))
      return wrong(
          QStringLiteral("the link's '%1' is no id of a %2")
              .arg(id.left(40), kind == u'm' ? QStringLiteral("record") : QStringLiteral("run")));
  return link;
}

} // namespace temper::gui
