package webgate

import (
	"net/http"
)

// Refuse answers a request that never came to the server, since something before it
// refused it, as the server answers one of its own. Those of a peer that asks too
// often are neither logged nor recorded one by one.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	rq := &request{s: s, w: w, r: r, address: addressOf(r), log: s.parts.Log}
	defer rq.survive()
	if status == http.StatusTooManyRequests {
		rq.count("4xx")
		rq.answerError(status, why)
		return
	}
	rq.fail(refused(status, why))
}
