package ul

import (
	"fmt"
	"slices"
)

// Respond returns the Response that answers each proposed context with what choose says: for Acceptance one of its
// transfer syntaxes, otherwise any other result.
func (r *Request) Respond(choose func(ProposedContext) AcceptedContext) Response {
	var rs Response
	for _, p := range r.Contexts {
		c := choose(p)
		c.ID = p.ID
		rs.Contexts = append(rs.Contexts, c)
	}
	return rs
}

// checkAnswers checks that an answer holds nothing that was not proposed.
func checkAnswers(rq *Request, rs *Response) error {
	for _, c := range rs.Contexts {
		i := slices.IndexFunc(rq.Contexts, func(p ProposedContext) bool { return p.ID == c.ID })
		if i < 0 {
			return invalid("presentation context %d: answered but not proposed", c.ID)
		}
		if c.Result == Acceptance && !slices.Contains(rq.Contexts[i].TransferSyntaxes, c.TransferSyntax) {
			return invalid("presentation context %d: accepted with a transfer syntax that was not proposed", c.ID)
		}
	}
	return nil
}

// completeAnswers returns an answer to each proposed context, in the order of the proposal. The transfer syntax of a
// refused one is not significant, but must be there: it is the first proposed (PS3.8 §9.3.3.2).
func completeAnswers(rq *Request, given []AcceptedContext) []AcceptedContext {
	var all []AcceptedContext
	for _, p := range rq.Contexts {
		c := AcceptedContext{ID: p.ID, Result: NoReason}
		if i := slices.IndexFunc(given, func(c AcceptedContext) bool { return c.ID == p.ID }); i >= 0 {
			c = given[i]
		}
		if c.Result == Acceptance && p.AbstractSyntax.Validate() != nil {
			c.Result = AbstractSyntaxNotSupported
		}
		if c.Result == Acceptance && c.TransferSyntax.Validate() != nil {
			c.Result = TransferSyntaxesNotSupported
		}
		if c.Result != Acceptance {
			c.TransferSyntax = p.TransferSyntaxes[0]
		}
		all = append(all, c)
	}
	return all
}

// checkRequest checks a request that we are about to send and numbers its contexts.
func checkRequest(rq *Request) error {
	var used [256]bool
	for _, c := range rq.Contexts {
		if c.ID != 0 && (c.ID&1 == 0 || used[c.ID]) {
			return fmt.Errorf("presentation context id %d: even or used twice", c.ID)
		}
		if len(c.TransferSyntaxes) == 0 || c.AbstractSyntax == "" {
			return fmt.Errorf("presentation context %d: no abstract syntax or no transfer syntax", c.ID)
		}
		used[c.ID] = true
	}
	if len(rq.Contexts) == 0 || len(rq.Contexts) > 128 {
		return fmt.Errorf("%d presentation contexts, from 1 to 128 are allowed", len(rq.Contexts))
	}
	rq.Contexts = slices.Clone(rq.Contexts)
	next := 1
	for i := range rq.Contexts {
		if rq.Contexts[i].ID != 0 {
			continue
		}
		for used[next] {
			next += 2
		}
		used[next] = true
		rq.Contexts[i].ID = uint8(next)
	}
	return nil
}
