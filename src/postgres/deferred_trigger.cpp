// Finds deferred triggers in the relation cache's entry of a table. This file is written wholly in P.
#include "postgres/deferred_trigger.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr const char* kCannotWait = "it is deferred, and the extension cannot write with deferred triggers";

bool fires_on(const Trigger& trigger, unsigned watched) {
    return (TRIGGER_FOR_INSERT(trigger.tgtype) && (watched & kOnInsert) != 0) ||
           (TRIGGER_FOR_UPDATE(trigger.tgtype) && (watched & kOnUpdate) != 0) ||
           (TRIGGER_FOR_DELETE(trigger.tgtype) && (watched & kOnDelete) != 0);
}

}  // namespace

bool find_deferred_trigger(Relation table, unsigned watched, Obstacle& found) {
    const TriggerDesc* triggers = table->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
        const Trigger& each = triggers->triggers[i];
        const bool is_enabled = each.tgenabled == TRIGGER_FIRES_ON_ORIGIN || each.tgenabled == TRIGGER_FIRES_ALWAYS;
        if (!each.tginitdeferred || !is_enabled || !fires_on(each, watched)) continue;
        if (!each.tgisinternal) {
            describe_obstacle(found, psprintf("trigger \"%s\"", each.tgname), kCannotWait,
                              psprintf("DROP TRIGGER %s ON %s", quote_identifier(each.tgname), sql_name_of(table)));
            return true;
        }
        const char* constraint = get_constraint_name(each.tgconstraint);
        if (constraint == nullptr) continue;
        const Oid referrer = each.tgconstrrelid;
        const bool is_referred_to = RI_FKey_trigger_type(each.tgfoid) == RI_TRIGGER_PK && OidIsValid(referrer);
        const char* holder =
            is_referred_to ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(referrer)), get_rel_name(referrer))
                           : sql_name_of(table);
        describe_obstacle(
            found, psprintf("constraint \"%s\"", constraint), kCannotWait,
            psprintf("ALTER TABLE %s ALTER CONSTRAINT %s INITIALLY IMMEDIATE", holder, quote_identifier(constraint)));
        if (each.tgfoid == F_UNIQUE_KEY_RECHECK)  // only a foreign key can be altered
            strlcpy(found.command, psprintf("ALTER TABLE %s DROP CONSTRAINT %s", holder, quote_identifier(constraint)),
                    sizeof found.command);
        return true;
    }
    return false;
}

}  // namespace postgres
