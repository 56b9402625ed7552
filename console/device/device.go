// Package device is what the register of devices looks like: the pages on which
// people see what each device is, does and may do, decide on it, and describe it;
// and the interface that the command line speaks.
//
// Ordinary use:
//
//	routes := device.Routes(device.Parts{Devices: register, …})  // GET /devices, /devices/{name}, …
//	routes = device.API(device.Parts{Devices: register})         // /api/v1/devices alone
//
// A vendor sees own products alone (people.Identity.Sees): to them other devices
// are not there.
//
// The inventory of all devices is a table (CSV) to take out and bring back. A table
// that is brought in is first compared with what is known, row by row; then all of
// it is written down, or nothing. What spreadsheets would take for a formula is
// escaped on the way out.
package device

import (
	"cordon/asset"
)

// Parts are what the pages show and act on.
type Parts struct {
	Devices *asset.Register
}
