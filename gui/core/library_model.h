/// What a library would be made of: the best record of each kernel on this machine, whether it was
/// made by today's compiler and checked, and the name that its function gets. As a table model with
/// a tick for each.
#pragma once

#include "database/query.h"

#include <QAbstractTableModel>
#include <QStringList>

#include <map>
#include <vector>

namespace temper::gui {

struct LibraryRow {
  database::RecordRow record;
  QString kernel; ///< "matmul M=512 N=512 K=512"
  QString name;   ///< of the function; empty: as export names it
  bool included = true;

  /// "ready", "stale: …", "not checked: …".
  QString stateText() const;
};

/// The bests of one machine as rows: of a kernel with several (threads apart) the fastest that is
/// not stale, else the fastest; sorted by kernel. `workloads`: title of each workload by its id.
std::vector<LibraryRow> libraryRows(std::vector<database::RecordRow> bests,
                                    const std::map<std::string, QString>& titles);

class LibraryModel : public QAbstractTableModel {
  Q_OBJECT
public:
  enum Column { kKernel, kName, kThreads, kTime, kRate, kState, kRecord, kColumns };

  using QAbstractTableModel::QAbstractTableModel;

  /// Ticks and names of kernels that stay are kept; what is stale or unchecked has no tick at
  /// first.
  void setRows(std::vector<LibraryRow> rows);
  const std::vector<LibraryRow>& rows() const { return rows_; }
  int includedCount() const;
  /// A sentence about what stands in the way; empty when it can be exported.
  QString problem(const QString& library) const;
  /// Arguments of `temper`, without --db.
  QStringList arguments(const QString& library, const QString& folder) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
  std::vector<LibraryRow> rows_;
};

} // namespace temper::gui
