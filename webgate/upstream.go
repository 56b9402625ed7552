package webgate

import (
	"errors"
	"sync"
	"time"

	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// upstream is one archive, and how it was when it was last asked.
type upstream struct {
	Upstream
	archives Archives
	min, max time.Duration

	mu    sync.Mutex
	until time.Time // it rests
	wait  time.Duration
}

// away reports whether the archive is not worth an object now: it failed a moment
// ago.
func (u *upstream) away() bool {
	if u.Web == nil {
		return u.archives.Away(u.Name)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Now().Before(u.until)
}

// asked notes how an archive that speaks DICOMweb answered.
func (u *upstream) asked(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !isAway(err) {
		u.until, u.wait = time.Time{}, 0
		return
	}
	u.wait = min(u.max, max(u.min, 2*u.wait))
	u.until = time.Now().Add(u.wait)
}

// isAway reports whether an error says that an archive cannot be reached, is
// silent or overloaded.
func isAway(err error) bool { return errors.Is(err, web.ErrAway) || errors.Is(err, dimse.ErrAway) }
