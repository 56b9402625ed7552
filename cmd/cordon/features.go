package main

import (
	"cordon/console/guard"
	"cordon/console/incidents"
	"cordon/console/route"
)

// guard stands before the console's routes.
func (p *parts) guard(c Config) *guard.Guard {
	return guard.New(guard.Config{Accounts: p.people, Scrapers: c.Console.Metrics})
}

// features are the routes of the console's packages.
func (p *parts) features(c Config) (all []route.Route) {
	all = append(all, incidents.Routes(incidents.Parts{Incidents: p.incidents})...)
	all = append(all, p.settingRoutes(c)...)
	all = append(all, p.recordRoutes(c)...)
	all = append(all, p.reportRoutes(c)...)
	return all
}
