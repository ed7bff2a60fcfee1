// Finds obstacles in the relation cache's entry of a table. This file is written wholly in P.
#include "postgres/obstacle.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr const char* kNotFired = "the extension writes this table without SQL, and such a write does not fire it";
constexpr const char* kNotChecked = "the extension writes this table without SQL, and such a write does not check it";
constexpr const char* kNotFilled = "the extension writes this table without SQL, and such a write does not fill it";

// The table from which an inherited column or constraint comes. Only there can it be dropped.
const char* parent_name_of(Relation table) {
    Oid parent = InvalidOid;
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(table)));
    Relation inherits = table_open(InheritsRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
    HeapTuple row = systable_getnext(scan);
    if (HeapTupleIsValid(row)) parent = reinterpret_cast<Form_pg_inherits>(GETSTRUCT(row))->inhparent;
    systable_endscan(scan);
    table_close(inherits, AccessShareLock);
    char* name = OidIsValid(parent) ? get_rel_name(parent) : nullptr;
    if (name == nullptr) return sql_name_of(table);
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(parent)), name);
}

// Describes an obstacle. It always returns true, so that a search can end with it.
bool describe(Obstacle& found, const char* kind, const char* name, const char* reason, const char* command) {
    describe_obstacle(found, psprintf("%s \"%s\"", kind, name), reason, command);
    return true;
}

bool is_listed(const char* name, const char* const* names, int count) {
    for (int i = 0; i < count; ++i)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

unsigned writes_of(const Trigger& trigger) {
    return (TRIGGER_FOR_INSERT(trigger.tgtype) ? kOnInsert : 0U) | (TRIGGER_FOR_UPDATE(trigger.tgtype) ? kOnUpdate : 0U) |
           (TRIGGER_FOR_DELETE(trigger.tgtype) ? kOnDelete : 0U);
}

bool fires_ordinarily(char enabled) {
    return enabled == TRIGGER_FIRES_ON_ORIGIN || enabled == TRIGGER_FIRES_ALWAYS;
}

bool find_trigger(Relation table, const TableShape& shape, unsigned watched, Obstacle& found) {
    const TriggerDesc* triggers = table->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
        const Trigger& each = triggers->triggers[i];
        if ((writes_of(each) & watched) == 0 || !fires_ordinarily(each.tgenabled)) continue;
        if (!each.tgisinternal) {
            if (is_listed(each.tgname, shape.triggers, shape.trigger_count)) continue;
            return describe(found, "trigger", each.tgname, kNotFired,
                            psprintf("DROP TRIGGER %s ON %s", quote_identifier(each.tgname), sql_name_of(table)));
        }
        // This trigger belongs to a constraint. Where a foreign key of another table refers to this table, the constraint is
        // that table's.
        const char* constraint = get_constraint_name(each.tgconstraint);
        if (constraint == nullptr) continue;
        const Oid referrer = each.tgconstrrelid;
        const bool is_referred_to = RI_FKey_trigger_type(each.tgfoid) == RI_TRIGGER_PK && OidIsValid(referrer);
        const char* owner =
            is_referred_to ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(referrer)), get_rel_name(referrer))
                           : sql_name_of(table);
        return describe(found, "constraint", constraint, kNotChecked,
                        psprintf("ALTER TABLE %s DROP CONSTRAINT %s", owner, quote_identifier(constraint)));
    }
    return false;
}

unsigned writes_of(CmdType event) {
    switch (event) {
        case CMD_INSERT:
            return kOnInsert;
        case CMD_UPDATE:
            return kOnUpdate;
        case CMD_DELETE:
            return kOnDelete;
        default:
            return 0;
    }
}

}  // namespace

bool find_rule(Relation table, unsigned watched, Obstacle& found) {
    const RuleLock* rules = table->rd_rules;
    for (int i = 0; rules != nullptr && i < rules->numLocks; ++i) {
        const RewriteRule& each = *rules->rules[i];
        if ((writes_of(each.event) & watched) == 0 || !fires_ordinarily(each.enabled)) continue;
        CatCList* rows = SearchSysCacheList1(RULERELNAME, ObjectIdGetDatum(RelationGetRelid(table)));
        for (int r = 0; r < rows->n_members; ++r) {
            const auto* rule = reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(&rows->members[r]->tuple));
            if (rule->oid != each.ruleId) continue;
            const char* name = pstrdup(NameStr(rule->rulename));
            ReleaseSysCacheList(rows);
            return describe(found, "rule", name, kNotFired,
                            psprintf("DROP RULE %s ON %s", quote_identifier(name), sql_name_of(table)));
        }
        ReleaseSysCacheList(rows);
    }
    return false;
}

namespace {

bool find_check(Relation table, const TableShape& shape, Obstacle& found) {
    const TupleConstr* constraints = RelationGetDescr(table)->constr;
    for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i) {
        const char* name = constraints->check[i].ccname;
        if (is_listed(name, shape.checks, shape.check_count)) continue;
        bool is_inherited = false;
        HeapTuple row =
            SearchSysCache1(CONSTROID, ObjectIdGetDatum(get_relation_constraint_oid(RelationGetRelid(table), name, true)));
        if (HeapTupleIsValid(row)) {
            is_inherited = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row))->coninhcount > 0;
            ReleaseSysCache(row);
        }
        return describe(found, "constraint", name, kNotChecked,
                        psprintf("ALTER TABLE %s DROP CONSTRAINT %s", is_inherited ? parent_name_of(table) : sql_name_of(table),
                                 quote_identifier(name)));
    }
    return false;
}

const char* holder_of(Relation table, Form_pg_attribute column) {
    return column->attinhcount > 0 ? parent_name_of(table) : sql_name_of(table);
}

bool find_not_null(Relation table, const TableShape& shape, Obstacle& found) {
    for (int i = 0; i < shape.column_count; ++i) {
        const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), i);
        if (!column->attnotnull || shape.columns[i].is_not_null) continue;
        const char* name = NameStr(column->attname);
        return describe(found, "column", name, "it is NOT NULL, and the extension may leave it NULL",
                        psprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", sql_name_of(table), quote_identifier(name)));
    }
    return false;
}

bool is_plain(Form_pg_attribute column) {
    return !column->attnotnull && !column->atthasdef && column->attgenerated == '\0' && column->attidentity == '\0' &&
           !(get_typtype(column->atttypid) == TYPTYPE_DOMAIN && DomainHasConstraints(column->atttypid));
}

bool find_further_column(Relation table, const TableShape& shape, Obstacle& found) {
    const TupleDesc columns = RelationGetDescr(table);
    for (int i = shape.column_count; i < columns->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(columns, i);
        if (column->attisdropped || (shape.may_carry_plain_columns && is_plain(column))) continue;
        const char* name = NameStr(column->attname);
        return describe(found, "column", name, kNotFilled,
                        psprintf("ALTER TABLE %s DROP COLUMN %s", holder_of(table, column), quote_identifier(name)));
    }
    return false;
}

bool find_property(Relation table, Obstacle& found) {
    const Form_pg_class properties = table->rd_rel;
    if (properties->relrowsecurity)
        describe_obstacle(found, "row security", kNotChecked,
                          psprintf("ALTER TABLE %s DISABLE ROW LEVEL SECURITY", sql_name_of(table)));
    else if (properties->relpersistence != RELPERSISTENCE_PERMANENT)
        describe_obstacle(found, "UNLOGGED", "a crash would empty the table",
                          psprintf("ALTER TABLE %s SET LOGGED", sql_name_of(table)));
    else if (properties->relam != HEAP_TABLE_AM_OID)
        describe_obstacle(found, "access method", "the extension needs a heap table",
                          psprintf("ALTER TABLE %s SET ACCESS METHOD heap", sql_name_of(table)));
    else
        return false;
    return true;
}

}  // namespace

bool find_changed_column(Relation table, const TableShape& shape, Obstacle& found) {
    const TupleDesc columns = RelationGetDescr(table);
    for (int i = 0; i < shape.column_count; ++i) {
        if (i >= columns->natts || TupleDescAttr(columns, i)->attisdropped) {
            describe_obstacle(found, "columns", "one that the extension made is missing", "");
            return true;
        }
        const Form_pg_attribute column = TupleDescAttr(columns, i);
        const KnownColumn& expected = shape.columns[i];
        const char* name = NameStr(column->attname);
        if (OidIsValid(expected.type) && (column->atttypid != expected.type || column->atttypmod != -1))
            return describe(found, "column", name, "it has another type than the extension gave it",
                            psprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s", holder_of(table, column), quote_identifier(name),
                                     format_type_be(expected.type)));
    }
    return false;
}

bool find_obstacle(Relation table, const TableShape& shape, unsigned watched, Obstacle& found) {
    return find_property(table, found) || find_changed_column(table, shape, found) || find_not_null(table, shape, found) ||
           find_further_column(table, shape, found) || find_trigger(table, shape, watched, found) ||
           find_rule(table, watched, found) || find_check(table, shape, found);
}

void describe_obstacle(Obstacle& found, const char* object, const char* reason, const char* command) {
    strlcpy(found.object, object, sizeof found.object);
    strlcpy(found.command, command, sizeof found.command);
    found.reason = reason;
}

const char* sql_name_of(Relation table) {
    return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table));
}

}  // namespace postgres
