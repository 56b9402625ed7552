// Package device is what the register of devices looks like: the pages on which
// people see what each device is, does and may do, decide on it, and describe it;
// and the interface that the command line speaks.
//
// Ordinary use:
//
//	routes := device.Routes(device.Parts{Devices: register, View: view, …})  // GET /devices, /devices/{name}, …
//	routes = device.API(device.Parts{Devices: register})                     // /api/v1/devices alone
//
// A vendor sees own products alone (people.Identity.Sees): to them other devices
// are not there.
//
// The inventory of all devices is a table (CSV) to take out and bring back. A table
// that is brought in is first compared with what is known, row by row; then all of
// it is written down, or nothing. What spreadsheets would take for a formula is
// escaped on the way out.
//
// What devices say of themselves, their AE titles and the names in their
// certificates, is hostile text: it is escaped like any other.
package device

import (
	"context"
	"embed"
	"slices"
	"time"

	"cordon/asset"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/exception"
	"cordon/people"
)

//go:embed *.html
var files embed.FS

// Parts are what the pages show and act on.
type Parts struct {
	Devices    *asset.Register
	Exceptions *exception.Exceptions
	View       *view.View
	Level      func(device string) string                               // how far it is contained, "" if it is not; nil: nothing is contained
	Paths      func(ctx context.Context, device string) ([]Path, error) // it was seen to use; nil: nobody watches the network
}

// Path is one way over the network that a device was seen to use.
type Path struct {
	Out      bool   // the device calls
	Peer     string // by name, or address
	Protocol string
	Port     uint16
	Last     time.Time
	Times    uint64 // conversations
	Allowed  bool   // declared
	Purpose  string // of the declaration
}

// pages are those that a browser is shown.
type pages struct {
	Parts
	list, one, bring, habits *view.Page
}

// Routes are the pages of the register, and its interface.
func Routes(p Parts) []route.Route {
	s := &pages{p, p.View.Page(files, "devices.html", "words.html"), p.View.Page(files, "device.html", "words.html", "habits.html"), p.View.Page(files, "import.html"), p.View.Page(files, "exceptions.html", "habits.html")}
	return slices.Concat([]route.Route{
		{Method: "GET", Pattern: "/devices", May: people.DeviceRead, Handler: s.showList},
		{Method: "GET", Pattern: "/devices/{name}", May: people.DeviceRead, Handler: s.showOne},
		{Method: "POST", Pattern: "/devices/{name}/approve", May: people.DeviceChange, Fresh: true, Handler: s.form(approve)},
		{Method: "POST", Pattern: "/devices/{name}/deny", May: people.DeviceChange, Fresh: true, Handler: s.form(deny)},
		{Method: "POST", Pattern: "/devices/{name}/inventory", May: people.DeviceChange, Handler: s.form(describe)},
		{Method: "POST", Pattern: "/devices/{name}/flows", May: people.DeviceChange, Handler: s.form(declare)},
		{Method: "GET", Pattern: "/exceptions", May: people.DeviceRead, Handler: s.showHabits},
		{Method: "POST", Pattern: "/exceptions/{id}/approve", May: people.DeviceChange, Fresh: true, Handler: s.decideHabit(true)},
		{Method: "POST", Pattern: "/exceptions/{id}/revoke", May: people.DeviceChange, Handler: s.decideHabit(false)},
		{Method: "GET", Pattern: "/register/devices.csv", May: people.DeviceRead, Handler: p.writeTable},
		{Method: "GET", Pattern: "/register/import", May: people.DeviceChange, Handler: s.showImport},
		{Method: "POST", Pattern: "/register/import", May: people.DeviceChange, Handler: s.bringIn},
	}, API(p))
}
