extension Resource {
  /// A part of the company; departments form a tree.
  package static let departments = Resource(
    "departments", singular: "department", table: "crm.department", area: .admin,
    create: ["code", "name", "parent_id", "active"], change: ["name", "parent_id", "active"],
    expand: ["parent", .many("children", of: "departments", by: "parent_id")], search: ["name"])

  /// A person of the company or an integration that signs in.
  package static let users = Resource(
    "users", singular: "user", table: "crm.app_user", area: .admin,
    create: ["department_id", "email", "name", "locale", "kind", "active"], change: ["department_id", "email", "name", "locale", "active"],
    expand: ["department"], search: ["name", "email"])

  /// A set of permissions that users are given.
  package static let roles = Resource(
    "roles", singular: "role", table: "crm.role", area: .admin,
    create: ["code", "name", "note", "discount_cap_percent"], change: ["name", "note", "discount_cap_percent"],
    expand: [.many("permissions", of: "role_permissions", by: "role_id")], search: ["name"])

  /// What a role may read and write in one area.
  package static let rolePermissions = Resource(
    "role_permissions", singular: "role_permission", table: "crm.role_permission", area: .admin,
    create: ["role_id", "area", "read_scope", "write_scope"], change: ["read_scope", "write_scope"], deletable: true, expand: ["role"])

  /// A role that a user has.
  package static let userRoles = Resource(
    "user_roles", singular: "user_role", table: "crm.user_role", area: .admin,
    create: ["user_id", "role_id"], deletable: true, expand: ["user", "role"])

  /// Opens one department's rows in an area to another department.
  package static let shareRules = Resource(
    "share_rules", singular: "share_rule", table: "crm.share_rule", area: .admin,
    create: ["from_department_id", "to_department_id", "area", "access", "note"], change: ["access", "note"], deletable: true,
    expand: ["from_department", "to_department"])

  /// A field that the company added to a resource.
  package static let customFields = Resource(
    "custom_fields", singular: "custom_field", table: "crm.custom_field", area: .admin,
    create: ["resource", "name", "type", "label_en", "label_tr", "required", "options", "position"],
    change: ["label_en", "label_tr", "required", "options", "active", "position"], search: ["name", "label_en", "label_tr"])

  /// The resources that say who may do what, and what the company added of its own.
  package static let access: [Resource] = [
    .departments, .users, .roles, .rolePermissions, .userRoles, .shareRules, .customFields,
  ]
}
