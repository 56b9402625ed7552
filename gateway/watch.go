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

// newWatch returns a watch that begins with the first move.
func newWatch(timeout time.Duration, expired func()) *watch {
	timer := time.AfterFunc(timeout, expired)
	timer.Stop()
	return &watch{timer, timeout}
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
