package policy

import (
	"cmp"
	"fmt"
	"slices"

	"cordon/dicom"
)

// fromArchive tells the associations that an archive opens: under its own AE
// title and from its own addresses, or on a connection of its own, with objects for a device, which is called
// by its title, or with reports of commitment for the gateway. An archive that
// is declared as a device as well is one in everything else.
func (s Site) fromArchive(a Association) (from Archive, to Device, ok bool) {
	i := slices.IndexFunc(s.Archives, func(v Archive) bool {
		return v.AETitle == a.Calling && (v.Name == a.Private || a.Private == "" && within(v.Addresses, a.Address))
	})
	if i < 0 {
		return from, to, false
	}
	from = s.Archives[i]
	if to, ok := s.outlet(a.Called); ok {
		return from, to, true
	}
	if s.Returns != "" && a.Called == s.Returns {
		return from, to, true
	}
	if a.Private != "" {
		return from, to, true
	}
	declared := slices.ContainsFunc(s.Devices, func(d Device) bool { return d.AETitle == a.Calling })
	return from, to, !declared || slices.ContainsFunc(a.Contexts, isReport)
}

// outlet finds the device that objects sent to an AE title are for. A title of
// several devices is nobody's: which of them is meant cannot be told.
func (s Site) outlet(called dicom.AETitle) (to Device, ok bool) {
	for _, d := range s.Devices {
		if _, reachable := d.Outlet(); d.AETitle != called || !reachable {
			continue
		}
		if ok {
			return Device{}, false
		}
		to, ok = d, true
	}
	return to, ok
}

// isReport tells a context for reports of commitment: the archive, as SCP,
// opens it to send N-EVENT-REPORT (PS3.4 §J.3.3).
func isReport(c Context) bool {
	return ServiceOf(c.AbstractSyntax) == ServiceCommit && c.Roles.SCP
}

// admitArchive answers an association that an archive opened. Objects may go
// to a device, and reports of the services that it may use; the gateway itself
// takes reports of commitment alone.
func (s Site) admitArchive(a Association, from Archive, to Device) Admission {
	ad := Admission{Direction: FromArchive, Archive: from.Name, Destination: to.Name, Monitor: to.Monitor}
	if to.Name == "" && !s.answersTo(a.Called) && a.Called != s.ReturnTitle() {
		return Admission{Refusal: UnknownCalled, Direction: FromArchive, Archive: from.Name}
	}
	returned := to.Name == "" && a.Called == s.ReturnTitle() && slices.Contains(a.Awaited, from.Name)
	for _, c := range a.Contexts {
		service := ServiceOf(c.AbstractSyntax)
		roles := c.Roles.orDefault()
		g := Grant{ID: c.ID, Reason: NotPermitted}
		switch {
		case service == "":
			g.Reason = NotImplemented
		case service == ServiceEcho,
			service == ServiceStore && (to.Name != "" || returned) && roles.SCU,
			service == ServiceCommit && to.Name == "" && roles.SCP:
			g = Grant{ID: c.ID, Service: service, Roles: roles}
		case to.Name != "" && roles.SCP && reports(service) && permitted(to.May, service):
			g = Grant{ID: c.ID, Service: service, Roles: Roles{SCP: true}}
		}
		ad.Contexts = append(ad.Contexts, g)
	}
	return ad
}

// reports names the services whose SCP reports events on associations that it
// opens: of unified procedure steps, say (PS3.4 §CC.2.4).
func reports(s Service) bool {
	switch s {
	case ServiceUPS, ServiceMPPS, ServicePrint, ServiceOther:
		return true
	}
	return false
}

// ReturnTitle is the AE title that archives are told to move objects to that
// the gateway retrieves itself.
func (s Site) ReturnTitle() dicom.AETitle { return cmp.Or(s.Returns, s.AETitle) }

// Returnable says why objects that an archive moves to the gateway itself could
// not be told from others, or nil.
func (s Site) Returnable(archive string) error {
	i := slices.IndexFunc(s.Archives, func(a Archive) bool { return a.Name == archive })
	switch {
	case i < 0 || len(s.Archives[i].Addresses) == 0:
		return fmt.Errorf("archive %s has no C-GET, and no addresses that it may call from: give it some, so that it can move objects here", archive)
	case s.Returns == "" && slices.ContainsFunc(s.Devices, func(d Device) bool { return d.AETitle == s.Archives[i].AETitle }):
		return fmt.Errorf("archive %s has no C-GET, and is declared as a device too: give what it moves here an AE title of its own (gateway.web.move_title)", archive)
	}
	return nil
}
