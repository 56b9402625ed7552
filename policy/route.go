package policy

import (
	"net/netip"
	"slices"

	"cordon/dicom"
)

// route chooses the archive that serves a device: the called one if it serves
// this; else, for stores, the device's own; else the first whose services name
// it; else the first that serves everything.
func (s Site) route(called dicom.AETitle, d Device, service Service) (archive string, ok bool) {
	serving := func(a Archive, named bool) bool {
		return d.mayUse(a.Name) && a.serves(service) && (!named || len(a.Services) > 0)
	}
	for _, choose := range []func(Archive) bool{
		func(a Archive) bool { return called != s.AETitle && a.AETitle == called && serving(a, false) },
		func(a Archive) bool { return a.Name == d.Archive && serving(a, false) },
		func(a Archive) bool { return serving(a, true) },
		func(a Archive) bool { return serving(a, false) },
	} {
		if i := slices.IndexFunc(s.Archives, choose); i >= 0 {
			return s.Archives[i].Name, true
		}
	}
	return "", false
}

func (a Archive) serves(service Service) bool {
	return len(a.Services) == 0 || slices.Contains(a.Services, service)
}

func (d Device) mayUse(archive string) bool {
	return len(d.Archives) == 0 || slices.Contains(d.Archives, archive)
}

// answersTo reports whether the called AE title is one of those that devices
// may call: the gateway's own and the archives'.
func (s Site) answersTo(called dicom.AETitle) bool {
	return called == s.AETitle || s.titled(called) != nil
}

func (s Site) titled(title dicom.AETitle) *Archive {
	i := slices.IndexFunc(s.Archives, func(a Archive) bool { return a.AETitle == title })
	if i < 0 {
		return nil
	}
	return &s.Archives[i]
}

// mayCall reports whether the device may use the archive that it calls.
func (s Site) mayCall(called dicom.AETitle, d Device) bool {
	a := s.titled(called)
	return called == s.AETitle || a == nil || d.mayUse(a.Name)
}

// within reports whether one of the networks has the address, over whichever
// interface it came.
func within(ps []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// through narrows a site to the archive whose own address a device called: that one
// is meant, whatever AE title the device knows it by.
func (s Site) through(a Association) (Site, Association) {
	if a.Through == "" {
		return s, a
	}
	s.Archives = slices.DeleteFunc(slices.Clone(s.Archives), func(v Archive) bool { return v.Name != a.Through })
	if len(s.Archives) > 0 {
		a.Called = s.Archives[0].AETitle
	}
	return s, a
}
