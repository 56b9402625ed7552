package gateway

import (
	"sync"

	"cordon/dicom"
)

// live are the associations that are established now, so that what waits for a
// peer can be sent on one that it opened itself.
type live struct {
	mu       *sync.Mutex
	sessions map[*session]bool
}

func newLive() live { return live{&sync.Mutex{}, map[*session]bool{}} }

func (l live) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[s] = true
}

func (l live) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s)
}

// contextOf is the id of the first accepted presentation context for an
// abstract syntax, or 0.
func (s *session) contextOf(abstract dicom.UID) uint8 {
	for _, pc := range s.down.Conn().Association().Contexts() {
		if pc.AbstractSyntax == abstract {
			return pc.ID
		}
	}
	return 0
}
