//! Migrations as they are rendered.

use super::{Form, MIGRATIONS};

fn rendered(form: &Form) -> String {
    let statements = MIGRATIONS.iter().flat_map(|migration| form.render(migration.text, "luminate"));
    let mut statements: Vec<String> = super::applied::table(form, "luminate").into_iter().chain(statements).collect();
    statements.push(String::new());
    statements.join(";\n\n")
}

#[test]
fn for_one_server() {
    insta::assert_snapshot!(rendered(&Form::Single));
}

#[test]
fn for_a_managed_service() {
    insta::assert_snapshot!(rendered(&Form::Managed));
}

#[test]
fn for_a_cluster() {
    insta::assert_snapshot!(rendered(&Form::Cluster("metrics-1".to_owned())));
}

#[test]
fn numbers_have_no_gaps() {
    let numbers: Vec<u32> = MIGRATIONS.iter().map(|migration| migration.number).collect();
    assert_eq!(numbers, (1..=MIGRATIONS.len() as u32).collect::<Vec<_>>());
}
