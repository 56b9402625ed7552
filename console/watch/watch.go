// Package watch is the console's view of the network: who talks to whom, what was
// unusual, and how it stands with the sensors.
//
//	all = append(all, watch.Routes(watch.Parts{Watch: w, Sensors: sensors})...)
//
// It changes nothing.
package watch

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/network"
	"cordon/people"
)

// Network is what is watched; a *network.Watch is one.
type Network interface {
	Seen(ctx context.Context) ([]network.Seen, error)
	Alerts(ctx context.Context, n int) ([]network.Alert, error)
}

// Sensor is how it stands with one.
type Sensor struct {
	Name      string        `json:"name"`
	Kind      string        `json:"kind"` // capture, eve, zeek
	Sees      bool          `json:"sees"`
	Why       string        `json:"why,omitempty"` // it does not
	Records   uint64        `json:"records"`       // packets, or records of another sensor
	Drops     uint64        `json:"drops"`         // packets that were not seen, or records that could not be read
	Flows     int           `json:"flows"`
	Thinned   int           `json:"thinned"` // busy conversations of which most packets are left out
	CPU       time.Duration `json:"cpu_ns"`
	Overload  bool          `json:"overloaded"`
	LastHeard time.Time     `json:"last_heard,omitzero"`
}

// Parts are what the routes work on.
type Parts struct {
	Watch   func(context.Context) (Network, error)
	Sensors func() []Sensor // nil: Cordon does not run
}

// Routes are the routes of the network.
func Routes(p Parts) []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/network/seen", May: people.NetworkRead, Handler: p.seen, Doc: route.Doc{
			Summary: "List who talks to whom, devices first", Response: network.Seen{}, Lines: true,
			Query: []route.Param{{Name: "device", Summary: "only what this device calls, or is called by", Example: "us-1"}},
		}},
		{Method: "GET", Pattern: "/api/v1/network/alerts", May: people.NetworkRead, Handler: p.alerts, Doc: route.Doc{
			Summary: "List what was unusual on the network, the latest first", Response: network.Alert{}, Lines: true,
			Query: []route.Param{{Name: "last", Summary: "how many, at most 1000; 100 if it is not given", Example: "20"}},
		}},
		{Method: "GET", Pattern: "/api/v1/network/sensors", May: people.NetworkRead, Handler: p.sensors, Doc: route.Doc{
			Summary: "List the sensors of the network", Response: Sensor{}, Lines: true,
		}},
	}
}

func (p Parts) seen(w http.ResponseWriter, r *http.Request) {
	watched, err := p.Watch(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	all, err := watched.Seen(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	device := r.URL.Query().Get("device")
	var out []network.Seen
	for _, s := range all {
		if device == "" || s.Device == device || s.Peer == device {
			out = append(out, s)
		}
	}
	answer.List(w, out)
}

const (
	defaultLast = 100
	maxLast     = 1000
)

func (p Parts) alerts(w http.ResponseWriter, r *http.Request) {
	n := defaultLast
	if text := r.URL.Query().Get("last"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxLast {
			answer.Refuse(w, fmt.Errorf("%w: last %.20q: write a number from 1 to %d", answer.ErrRequest, text, maxLast))
			return
		}
	}
	watched, err := p.Watch(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	all, err := watched.Alerts(r.Context(), n)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) sensors(w http.ResponseWriter, _ *http.Request) {
	var out []Sensor
	if p.Sensors != nil {
		out = p.Sensors()
	}
	answer.List(w, out)
}
