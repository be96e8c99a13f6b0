/// Threads for what takes long: sorting a million records, painting a hundred thousand lines. A
/// pool of its own, because Qt fills large areas with threads of the global one, and waits for
/// them: were that busy with a sort, the window would stand still until the sort is done.
#pragma once

class QThreadPool;

namespace temper::gui {

QThreadPool& workers();

} // namespace temper::gui
