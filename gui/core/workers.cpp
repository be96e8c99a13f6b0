#include "gui/core/workers.h"

#include <QCoreApplication>
#include <QThreadPool>

namespace temper::gui {

QThreadPool& workers() {
  static QThreadPool pool;
  // Answers go to the application: none comes after it.
  static const bool registered = [] {
    qAddPostRoutine([] { workers().waitForDone(); });
    return true;
  }();
  (void)registered;
  return pool;
}

} // namespace temper::gui
