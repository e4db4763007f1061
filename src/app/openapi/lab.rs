//! What the lab answers.

use serde_json::json;
use utoipa::openapi::{
    HttpMethod, Required, ResponseBuilder,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
};

use super::{BODY, CROWDED, content, operation, refused, schema, schema_name, with_refusals};
use crate::error::Code;

/// The operations of the lab.
pub(super) fn operations() -> Vec<(&'static str, HttpMethod, Operation)> {
    let described =
        |id: &str, about| refused(operation("Lab", id.to_owned(), about), &CROWDED).parameter(line_id());
    let lab = refused(
        operation("Lab", "lab".to_owned(), "That lines can be opened, and how many there are"),
        &CROWDED,
    );
    let show = described(
        "line",
        "Look at a line\nIt counts as a use: a line without any for a minute ends by itself.",
    );
    let put = described(
        "putLine",
        "Open a line, or change it\nA line is a port of its own, on loopback, where the whole gateway answers, and \
         whose connections are delayed, narrowed, stalled and cut as it says; with a source, generated events are \
         published as well. What is absent stays as it is. A change takes effect on live connections at once. There \
         are 64 lines at most.",
    );
    let body = RequestBodyBuilder::new()
        .description(Some("What is to change; of at most 16 KiB."))
        .required(Some(Required::False))
        .content("application/json", content(json!({"$ref": schema_name("LineWanted")})))
        .build();
    let end = described("endLine", "End a line\nIts connections are reset.")
        .response("204", ResponseBuilder::new().description("It has ended."));
    let accepting = [Code::NotAcceptable];
    let unknown = [Code::NotFound];
    let one = "/v1/lab/{id}";
    vec![
        ("/v1/lab", HttpMethod::Get, with_refusals(answered(lab, "Lab"), &accepting)),
        (one, HttpMethod::Get, with_refusals(refused(answered(show, "Line"), &unknown), &accepting)),
        (
            one,
            HttpMethod::Put,
            with_refusals(refused(answered(put, "Line").request_body(Some(body)), &BODY), &accepting),
        ),
        (one, HttpMethod::Delete, with_refusals(end, &unknown)),
    ]
}

fn answered(operation: OperationBuilder, document: &str) -> OperationBuilder {
    let answer = ResponseBuilder::new()
        .description("As it is now.")
        .content("application/json", content(json!({"$ref": schema_name(document)})));
    operation.response("200", answer)
}

fn line_id() -> Parameter {
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The line's name: whatever its user likes."))
        .schema(Some(schema(json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}))))
        .build()
}
