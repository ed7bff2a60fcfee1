// SQL function refuse_change(): the trigger function that keeps the log insert-only. It raises TC201.
#include <string>

#include "error_codes.hpp"
#include "postgres/entry_point.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_refuse_change) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        throw postgres::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                              "refuse_change() was not called by the trigger manager");
    const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
    const char* action = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)   ? "UPDATE"
                         : TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "DELETE"
                                                                      : "TRUNCATE";
    throw postgres::Error(error_codes::kLogIsInsertOnly, "the event log is insert-only",
                          std::string(action) + " of \"" + RelationGetRelationName(trigger->tg_relation) + "\" was refused.",
                          "Correct a reading by sending a new one.");
}
