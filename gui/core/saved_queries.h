/// Queries and filter rows under names of their own, kept for the next start: what somebody asks
/// every morning.
#pragma once

#include "gui/core/record_filter.h"

#include <QObject>
#include <QString>

#include <vector>

namespace temper::gui {

struct SavedQuery {
  QString name;
  QString query; ///< as in the query field
  FilterText filter;
  bool operator==(const SavedQuery&) const = default;
};

class SavedQueries : public QObject {
  Q_OBJECT
public:
  /// Reads what was saved before.
  explicit SavedQueries(QObject* parent = nullptr);

  const std::vector<SavedQuery>& all() const { return all_; } ///< by name
  const SavedQuery* find(const QString& name) const;
  /// Replaces one of the same name. A name without letters is refused.
  bool save(SavedQuery query);
  void remove(const QString& name);

signals:
  void changed();

private:
  void write() const;
  std::vector<SavedQuery> all_;
};

} // namespace temper::gui
