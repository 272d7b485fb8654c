// One position from two kinds of sensors: each has a learner of its own, with a spec of its own,
// and both learn from the same truth. The cores are made by
//
//   kanrtl verilog hall.toml --bus plain --name hall -o hall.v
//   kanrtl verilog diodes.toml --bus plain --name diodes -o diodes.v
//
// Each file is one module, and all its names lie within.
module two_sensors (
    input clk, rst,
    input signed [15:0] field,        // SQ(6, 10), as hall.v says
    input signed [11:0] left, right,  // SQ(3, 9), as diodes.v says
    input signed [11:0] truth,        // SQ(3, 9)
    input valid, learn,
    output ready,
    output signed [15:0] position,    // SQ(6, 10), the mean of both
    output position_valid
);
    wire hall_ready, diodes_ready, hall_valid, diodes_valid;
    wire signed [15:0] hall_y;
    wire signed [11:0] diodes_y;

    // A sample is taken by both at once, and so are their predictions.
    assign ready = hall_ready & diodes_ready;
    assign position_valid = hall_valid & diodes_valid;
    // Half of one with one fraction bit more, and the other, whose last bit is worth as much.
    wire signed [15:0] half = hall_y >>> 1;
    assign position = half + {{4{diodes_y[11]}}, diodes_y};

    hall hall_core (
        .clk(clk), .rst(rst), .freeze(1'b0), .updated(), .gradient_0(),
        .x_0(field), .target_0({{3{truth[11]}}, truth, 1'b0}), .learn(learn),
        .samples_valid(valid & diodes_ready), .samples_ready(hall_ready),
        .y_0(hall_y), .predictions_valid(hall_valid), .predictions_ready(position_valid),
        .access_address(5'd0), .access_write(1'b0), .access_data(20'd0),
        .access_request_valid(1'b0), .access_request_ready(),
        .access_response_data(), .access_response_valid(), .access_response_ready(1'b1)
    );
    diodes diodes_core (
        .clk(clk), .rst(rst), .freeze(1'b0), .updated(), .gradient_0(),
        .x_0(left), .x_1(right), .target_0(truth), .learn(learn),
        .samples_valid(valid & hall_ready), .samples_ready(diodes_ready),
        .y_0(diodes_y), .predictions_valid(diodes_valid), .predictions_ready(position_valid),
        .access_address(5'd0), .access_write(1'b0), .access_data(17'd0),
        .access_request_valid(1'b0), .access_request_ready(),
        .access_response_data(), .access_response_valid(), .access_response_ready(1'b1)
    );
endmodule
