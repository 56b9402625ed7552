package policy

import "slices"

// grant answers the proposed contexts.
func (s Site) grant(a Association, d Device, ad *Admission) {
	gets := getter(a.Contexts)
	for _, c := range a.Contexts {
		g := s.grantOne(a, d, c, gets)
		if ad.shadow && (g.Reason == NotPermitted || g.Reason == ClassNotPermitted) {
			ad.WouldRefuse = append(ad.WouldRefuse, Objection{Context: c.ID, Reason: g.Reason, Service: ServiceOf(c.AbstractSyntax), SOPClass: c.AbstractSyntax})
			g = s.grantOne(a, d.unlimited(), c, gets)
		}
		ad.Contexts = append(ad.Contexts, g)
	}
}

// getter is the service of the C-GET that an association proposes, or "".
func getter(cs []Context) Service {
	for _, c := range cs {
		if isGet(c.AbstractSyntax) {
			return ServiceOf(c.AbstractSyntax)
		}
	}
	return ""
}

// unlimited is the device with nothing forbidden to it.
func (d Device) unlimited() Device {
	d.May, d.SOPClasses, d.Archives = nil, nil, nil
	return d
}

// in is the device in an association that is let pass in spite of r: there is
// no more to object to. Its objects still go where they would go.
func (d Device) in(r Refusal) Device {
	d.May, d.SOPClasses = nil, nil
	if r == ForeignArchive {
		d.Archives = nil
	}
	return d
}

// grantOne answers one context. A storage context in which the requestor
// proposes to be SCP is where the objects of its C-GET come back (PS3.4
// §C.4.3): it is a retrieval, not a store. One proposed in both roles while
// archives differ belongs to the archive that is asked for the objects.
func (s Site) grantOne(a Association, d Device, c Context, gets Service) Grant {
	service := ServiceOf(c.AbstractSyntax)
	proposed := c.Roles.orDefault()
	switch {
	case service == "":
		return Grant{ID: c.ID, Reason: NotImplemented}
	case service == ServiceEcho:
		return s.answer(c, d, service, "", proposed)
	case service == ServiceStore && proposed.SCP && gets != "":
		if g := s.grantReturn(a, d, c, proposed, gets); g.Reason == Granted || !proposed.SCU {
			return g
		}
		proposed.SCP = false
	case service == ServiceStore && !proposed.SCU:
		return Grant{ID: c.ID, Reason: NotImplemented} // nothing ever comes back in it
	case service == ServiceStore:
		proposed.SCP = false
	}
	archive, ok := s.route(a.Called, d, service)
	if !ok {
		return s.unserved(a, d, c, service)
	}
	return s.answer(c, d, service, archive, proposed)
}

// grantReturn answers a storage context for the objects of a C-GET.
func (s Site) grantReturn(a Association, d Device, c Context, proposed Roles, gets Service) Grant {
	archive, ok := s.route(a.Called, d, gets)
	if !ok || !permitted(d.May, gets) {
		return Grant{ID: c.ID, Reason: NotPermitted}
	}
	store, stores := s.route(a.Called, d, ServiceStore)
	if !stores || store != archive || s.answer(c, d, ServiceStore, store, proposed).Reason != Granted {
		proposed.SCU = false
	}
	return Grant{ID: c.ID, Service: ServiceStore, Archive: archive, Roles: proposed}
}

// answer grants a context if the device may use the service, and may send the
// class.
func (s Site) answer(c Context, d Device, service Service, archive string, roles Roles) Grant {
	switch {
	case !permitted(d.May, service):
		return Grant{ID: c.ID, Reason: NotPermitted}
	case service == ServiceStore && len(d.SOPClasses) > 0 && !slices.Contains(d.SOPClasses, c.AbstractSyntax):
		return Grant{ID: c.ID, Reason: ClassNotPermitted}
	}
	return Grant{ID: c.ID, Service: service, Archive: archive, Roles: roles}
}

// unserved says why no archive serves a context: none does, or none of those
// that the device may use.
func (s Site) unserved(a Association, d Device, c Context, service Service) Grant {
	if _, ok := s.route(a.Called, d.unlimited(), service); ok {
		return Grant{ID: c.ID, Reason: NotPermitted}
	}
	return Grant{ID: c.ID, Reason: NotServed}
}

func permitted(may []Service, s Service) bool {
	return len(may) == 0 || slices.Contains(may, s)
}
