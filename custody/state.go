package custody

import "fmt"

// State says where an object is in its life. The zero value is no state.
type State string

const (
	Receiving State = "receiving" // in a Buffer; there is no row, and nothing has been acknowledged
	Spooled   State = "spooled"   // durable here, due for delivery
	Held      State = "held"      // durable here, in the vault
	Delivered State = "delivered" // the archive has answered success; our copy is gone
	Destroyed State = "destroyed" // by two people; our copy is gone

	// Released is what the vault shows of an object that was held and is now
	// spooled or delivered. No row is in this state.
	Released State = "released"
)

// An actor is who may cause a transition.
type actor string

const (
	gateway   actor = "gateway"
	deliverer actor = "deliverer"
	people    actor = "people" // two of them; one alone only to release in an emergency
	rescanner actor = "rescan"

	reconciler actor = "reconcile"
)

type transition struct {
	from, to State
	who      actor
	kind     string // of its journal record
}

// transitions is every change of state there is.
var transitions = [...]transition{
	{Receiving, Spooled, gateway, "object.spooled"},     // judged; the archive is away
	{Receiving, Held, gateway, "object.held"},           // judged; policy holds it
	{Spooled, Held, rescanner, "object.held"},           // found harmful while it waited
	{Held, Spooled, people, "object.released"},          //
	{Held, Destroyed, people, "object.destroyed"},       //
	{Spooled, Delivered, deliverer, "object.delivered"}, //
	{Spooled, Destroyed, people, "object.destroyed"},    // no archive will ever take it
	{Delivered, Spooled, reconciler, "object.requeued"}, // the archive has lost it, and the blob is still here
}

// change finds the transition, or says that there is none.
func change(from, to State, who actor) (transition, error) {
	for _, t := range transitions {
		if t.from == from && t.to == to && t.who == who {
			return t, nil
		}
	}
	return transition{}, fmt.Errorf("%w: it is %s now, and the %s cannot make it %s", ErrState, from, who, to)
}

// stored reports whether an object in this state has a blob.
func (s State) stored() bool { return s == Spooled || s == Held }
