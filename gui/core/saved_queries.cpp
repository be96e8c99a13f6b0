#include "gui/core/saved_queries.h"

#include <QSettings>

#include <algorithm>

namespace temper::gui {

SavedQueries::SavedQueries(QObject* parent) : QObject(parent) {
  QSettings settings;
  const int count = settings.beginReadArray(QStringLiteral("queries"));
  for (int i = 0; i < count; ++i) {
    settings.setArrayIndex(i);
    SavedQuery query;
    query.name = settings.value(QStringLiteral("name")).toString();
    query.query = settings.value(QStringLiteral("query")).toString();
    for (int column = 0; column < kRecordColumns; ++column)
      query.filter.columns[static_cast<size_t>(column)] =
          settings.value(columnTitle(static_cast<RecordColumn>(column))).toString();
    if (!query.name.isEmpty())
      all_.push_back(std::move(query));
  }
}

const SavedQuery* SavedQueries::find(const QString& name) const {
  const auto at = std::find_if(all_.begin(), all_.end(),
                               [&](const SavedQuery& query) { return query.name == name; });
  return at == all_.end() ? nullptr : &*at;
}

bool SavedQueries::save(SavedQuery query) {
  query.name = query.name.trimmed();
  if (query.name.isEmpty())
    return false;
  std::erase_if(all_, [&](const SavedQuery& other) { return other.name == query.name; });
  all_.push_back(std::move(query));
  std::sort(all_.begin(), all_.end(), [](const SavedQuery& a, const SavedQuery& b) {
    return a.name.localeAwareCompare(b.name) < 0;
  });
  write();
  emit changed();
  return true;
}

void SavedQueries::remove(const QString& name) {
  if (std::erase_if(all_, [&](const SavedQuery& query) { return query.name == name; }) == 0)
    return;
  write();
  emit changed();
}

void SavedQueries::write() const {
  QSettings settings;
  settings.remove(QStringLiteral("queries"));
  settings.beginWriteArray(QStringLiteral("queries"));
  for (size_t i = 0; i < all_.size(); ++i) {
    settings.setArrayIndex(static_cast<int>(i));
    settings.setValue(QStringLiteral("name"), all_[i].name);
    settings.setValue(QStringLiteral("query"), all_[i].query);
    for (int column = 0; column < kRecordColumns; ++column)
      if (const QString& text = all_[i].filter.columns[static_cast<size_t>(column)];
          !text.isEmpty())
        settings.setValue(columnTitle(static_cast<RecordColumn>(column)), text);
  }
  settings.endArray();
}

} // namespace temper::gui
