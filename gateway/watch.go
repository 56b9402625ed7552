package gateway

import (
	"io"
	"time"
)

// watch calls back when nothing has moved for a while.
type watch struct {
	timer   *time.Timer
	timeout time.Duration
}

func newWatch(timeout time.Duration, expired func()) *watch {
	return &watch{time.AfterFunc(timeout, expired), timeout}
}

// moved starts the wait anew.
func (w *watch) moved() { w.timer.Reset(w.timeout) }

func (w *watch) stop() { w.timer.Stop() }

// watched tells the watch of every read: a slow archive that still takes data
// is not a silent one.
type watched struct {
	io.Reader
	watch *watch
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.watch.moved()
	return n, err
}
